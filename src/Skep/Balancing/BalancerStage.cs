using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Edge;
using Skep.Filtering;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// Kernel half of the balancer. A packet of a known connection costs one table lookup whichever way it goes; the value found says what to write
/// where, with the checksum differences worked out when the connection began. After the rewrite the network stack routes the packet.
/// </summary>
internal sealed unsafe class BalancerStage
{
    private const TcpFlags Ending = TcpFlags.Fin | TcpFlags.Rst;

    private readonly HashMap<ServiceKey, ServiceEntry> _services;
    private readonly Tracker _connections;
    private readonly PerCpuArrayMap<BackendCounter> _counters;
    private readonly Global<uint> _clock;
    private readonly RateLimitStage? _rateLimit;
    private readonly ServiceLimitStage? _limits;
    private readonly BackendChoice _choice;
    private readonly FragmentStage _fragments;
    private readonly IcmpErrorStage _errors;
    private readonly SignalStage? _signals;
    private readonly Rewriter _rewriter;
    private readonly AddressBook? _book;
    private readonly ClientRules? _clients;

    /// <summary>A balancer over <paramref name="maps"/>. Answers of backends are exempt from the rate limit, which is why it is applied in here.</summary>
    internal BalancerStage(BalancerMaps maps, RateLimitStage? rateLimit, ServiceLimitStage? limits, EdgeOptions options, Rewriter rewriter)
    {
        ArgumentNullException.ThrowIfNull(maps);
        _rewriter = rewriter;
        _services = maps.Services;
        _counters = maps.BackendCounters;
        _clock = maps.Clock;
        _rateLimit = rateLimit;
        _limits = limits;
        _signals = options.Measure ? new SignalStage(maps) : null;
        _book = options.TranslateSources ? new AddressBook(maps) : null;
        _connections = new Tracker(maps, _book);
        _clients = options.Features != ServiceFlags.None ? new ClientRules(maps, options.Features, options.FlowSeed) : null;
        _choice = new BackendChoice(maps, _signals, _clients, options.TranslateSources);
        _fragments = new FragmentStage(maps, _book);
        _errors = new IcmpErrorStage(_connections, _signals, _book);
    }

    /// <summary>Decides about a packet and rewrites it.</summary>
    /// <param name="packet">Its network header.</param>
    /// <param name="edge">The rest of it.</param>
    internal EdgeVerdict Run(in IpPacket packet, ref EdgePacket edge)
    {
        if (packet.Fragment == FragmentKind.Later)
        {
            return IsOverRate(in packet, in edge) ? EdgeVerdict.RateLimited : _fragments.Route(in packet, ref edge);
        }

        var end = edge.End;

        // One copy of the code for both protocols: what differs is read here, and tested again where a checksum is written.
        TcpFlags flags;
        if (packet.Protocol == IpProtocol.Tcp)
        {
            if (packet.Transport + sizeof(TcpHeader) > end)
            {
                return EdgeVerdict.Malformed;
            }

            flags = ((TcpHeader*)packet.Transport)->Flags;
        }
        else if (packet.Protocol == IpProtocol.Udp)
        {
            if (packet.Transport + sizeof(UdpHeader) > end)
            {
                return EdgeVerdict.Malformed;
            }

            flags = TcpFlags.None;
        }
        else
        {
            return IsOverRate(in packet, in edge) ? EdgeVerdict.RateLimited : _errors.Route(in packet, end);
        }

        return Balance(in packet, *(uint*)packet.Transport, flags, ref edge);
    }

    private bool IsOverRate(in IpPacket packet, in EdgePacket edge) => _rateLimit is not null && !_rateLimit.Admits(in packet.Source, edge.Packets);

    private EdgeVerdict Balance(in IpPacket packet, uint rawPorts, TcpFlags flags, ref EdgePacket edge)
    {
        ConnectionKey key;
        key.Source = packet.Source;
        key.Destination = packet.Destination;
        key.RawPorts = rawPorts;
        key.Protocol = (uint)packet.Protocol;
        ref var known = ref _connections.Find(in key, out var isBeginning);
        if (!Unsafe.IsNullRef(ref known) && known.Direction == ConnectionDirection.Reply)
        {
            return Reply(in packet, in key, ref known, isBeginning, flags, ref edge);
        }

        if (IsOverRate(in packet, in edge))
        {
            return EdgeVerdict.RateLimited;
        }

        // A client begins a new connection when it uses the port of a closed one again, or still asks a backend that is gone.
        if (!Unsafe.IsNullRef(ref known)
            && ((flags & (TcpFlags.Syn | TcpFlags.Ack)) != TcpFlags.Syn || (!known.IsClosed && _choice.IsInUse(in known))))
        {
            return _limits is not null && !_limits.AdmitsPacketsTo(known.Backend, edge.Packets)
                ? EdgeVerdict.ServiceLimited : Forward(in packet, in key, ref known, flags, ref edge);
        }

        if (!Unsafe.IsNullRef(ref known))
        {
            _connections.Forget(in key);
        }

        return Begin(in packet, in key, flags, ref edge);
    }

    private EdgeVerdict Begin(in IpPacket packet, in ConnectionKey key, TcpFlags flags, ref EdgePacket edge)
    {
        ServiceKey service;
        service.Address = key.Destination;
        service.RawPort = key.DestinationPort.Raw;
        service.Protocol = key.Protocol;
        ref var entry = ref _services.Find(in service);
        if (_clients is not null && _clients.HasRanges && Unsafe.IsNullRef(ref entry))
        {
            service.RawPort = _clients.RangeOf(in key);
            entry = ref _services.Find(in service);
        }

        if (Unsafe.IsNullRef(ref entry))
        {
            _fragments.RememberPassed(in packet);
            return EdgeVerdict.Passed;
        }

        if (_limits is not null && (!_limits.AdmitsPackets(entry.Id, edge.Packets) || !_limits.AdmitsConnection(entry.Id)))
        {
            return EdgeVerdict.ServiceLimited;
        }

        var verdict = _choice.Open(in key, in entry, flags, out var connection);
        if (verdict != EdgeVerdict.Forwarded)
        {
            return verdict;
        }

        ref var counter = ref _counters.Find(connection.Backend);
        if (!Unsafe.IsNullRef(ref counter))
        {
            counter.Connections++;
            counter.Packets += edge.Packets;
            counter.Bytes += edge.Bytes;
        }

        Rewrite(in packet, in connection, isReply: false, ref edge);
        return EdgeVerdict.Forwarded;
    }

    private EdgeVerdict Forward(in IpPacket packet, in ConnectionKey key, ref Connection connection, TcpFlags flags, ref EdgePacket edge)
    {
        if (_signals is not null && (flags & (TcpFlags.Syn | TcpFlags.Ack)) == TcpFlags.Syn)
        {
            _signals.SynRepeated(connection.Backend);
        }

        var now = _clock.Value;
        // The first data of a client, and what is found once a second when the other entry is looked at anyway.
        var asks = _signals is not null && connection.Phase == ConnectionPhase.Opening && SignalStage.HasPayload(in packet);
        if (connection.LastSeen != now || (flags & Ending) != 0 || asks)
        {
            if (_signals is not null && !asks)
            {
                asks = SignalStage.HasPayload(in packet);
            }

            connection.Phase = asks ? ConnectionPhase.Answered : connection.Phase;
            connection.LastSeen = now;
            var wasClosed = connection.IsClosed;
            connection.End |= EndOf(flags, ConnectionEnd.ClientFin);
            ref var reply = ref KeepTwin(in connection, in key, ConnectionDirection.Reply);
            if (_signals is not null && asks && !Unsafe.IsNullRef(ref reply))
            {
                _signals.Asked(ref reply);
            }

            if (_signals is not null && connection.IsClosed && !wasClosed)
            {
                _signals.Closed(connection.Backend, ref reply, byBackend: false, reset: false);
            }
        }

        ref var counter = ref _counters.Find(connection.Backend);
        if (!Unsafe.IsNullRef(ref counter))
        {
            counter.Packets += edge.Packets;
            counter.Bytes += edge.Bytes;
        }

        Rewrite(in packet, in connection, isReply: false, ref edge);
        return EdgeVerdict.Forwarded;
    }

    private EdgeVerdict Reply(in IpPacket packet, in ConnectionKey key, ref Connection connection, bool isBeginning, TcpFlags flags, ref EdgePacket edge)
    {
        // Only an established connection has TCP packets like these; one of UDP goes on when it answers again.
        var now = _clock.Value;
        var isEstablished = isBeginning && (packet.Protocol == IpProtocol.Tcp
            ? (flags & (TcpFlags.Syn | TcpFlags.Rst)) == 0
            : connection.LastSeen != now || connection.Phase == ConnectionPhase.Answered);
        if (connection.LastSeen != now || (flags & Ending) != 0)
        {
            connection.LastSeen = now;
            var wasClosed = connection.IsClosed;
            connection.End |= EndOf(flags, ConnectionEnd.BackendFin);
            KeepTwin(in connection, in key, ConnectionDirection.Forward);
            if (_signals is not null && connection.IsClosed && !wasClosed)
            {
                _signals.Closed(connection.Backend, ref connection, byBackend: true, (flags & TcpFlags.Rst) != 0);
            }
        }

        if (_signals is not null && connection.Phase <= ConnectionPhase.Asked)
        {
            _signals.Answered(in packet, ref connection, flags);
        }

        ref var counter = ref _counters.Find(connection.Backend);
        if (!Unsafe.IsNullRef(ref counter))
        {
            counter.ReplyPackets += edge.Packets;
            counter.ReplyBytes += edge.Bytes;
        }

        Rewrite(in packet, in connection, isReply: true, ref edge);
        if (isEstablished)
        {
            // Last, because the entry is another's after that.
            _connections.Establish(in key);
        }

        return EdgeVerdict.Replied;
    }

    private static ConnectionEnd EndOf(TcpFlags flags, ConnectionEnd fin) =>
        (flags & TcpFlags.Rst) != 0 ? ConnectionEnd.Reset : (flags & TcpFlags.Fin) != 0 ? fin : ConnectionEnd.None;

    private void Rewrite(in IpPacket packet, in Connection connection, bool isReply, ref EdgePacket edge)
    {
        if (_book is not null && connection.OtherAddress != 0)
        {
            ref var sender = ref _book.Find(connection.OtherAddress);
            if (!Unsafe.IsNullRef(ref sender))
            {
                _rewriter.Both(in packet, in connection, in sender, ref edge);
            }
        }
        else if (isReply)
        {
            _rewriter.Source(in packet, in connection, ref edge);
        }
        else
        {
            _rewriter.Destination(in packet, in connection, ref edge);
        }

        _fragments.Remember(in packet, in connection);
    }

    // Gives the other entry, a null reference when it is another connection's or was not there. Once a second per direction, and at the end: both entries
    // know how the connection ended, and one that was evicted comes back. The table is the kernel's, which forgets entry by entry; a connection with one
    // entry left would be deaf in one direction for good.
    private ref Connection KeepTwin(in Connection connection, in ConnectionKey key, ConnectionDirection direction)
    {
        _connections.TwinOf(in connection, in key, direction, out var twinKey);
        // What the other entry writes: the ends that this one's packets come with.
        var twin = default(Connection);
        var isTranslated = _book is not null && connection.OtherAddress != 0;
        if (isTranslated || direction == ConnectionDirection.Forward)
        {
            twin.NewAddress = key.Source;
            twin.NewPort = key.SourcePort;
            twin.OtherPort = isTranslated ? key.DestinationPort : default;
        }
        else
        {
            twin.NewAddress = key.Destination;
            twin.NewPort = key.DestinationPort;
        }

        ref var found = ref _connections.Find(in twinKey);
        if (!Unsafe.IsNullRef(ref found))
        {
            // Another connection's, when a client used the port of a closed connection for another service with the same backend.
            if (found.NewAddress == twin.NewAddress && found.NewPort == twin.NewPort)
            {
                found.End |= connection.End;
                return ref found;
            }

            return ref Unsafe.NullRef<Connection>();
        }

        if (_book is not null && isTranslated)
        {
            twin.OtherAddress = _book.NumberOf(in key.Destination);
            if (twin.OtherAddress == 0)
            {
                return ref Unsafe.NullRef<Connection>();
            }
        }

        twin.AddressDelta = (-ChecksumDelta.FromRaw(connection.AddressDelta)).Raw;
        twin.FullDelta = (-ChecksumDelta.FromRaw(connection.FullDelta)).Raw;
        twin.Direction = direction;
        twin.End = connection.End;
        twin.Backend = connection.Backend;
        twin.LastSeen = connection.LastSeen;
        twin.Phase = ConnectionPhase.Answered;
        _connections.Enter(in twinKey, in twin);
        return ref Unsafe.NullRef<Connection>();
    }
}
