using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Edge;
using Skep.Edge.Tracing;
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
    private readonly KnownAddresses _known;
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
    private readonly TraceStage? _trace;
    private readonly ClientRules? _clients;
    private readonly ExchangeHold _exchange;

    /// <summary>A balancer over <paramref name="maps"/>. Answers of backends are exempt from the rate limit, which is why it is applied in here.</summary>
    internal BalancerStage(BalancerMaps maps, RateLimitStage? rateLimit, ServiceLimitStage? limits, EdgeOptions options, Rewriter rewriter, TraceStage? trace)
    {
        ArgumentNullException.ThrowIfNull(maps);
        _rewriter = rewriter;
        _trace = trace;
        _services = maps.Services;
        _known = new KnownAddresses(maps.Known);
        _counters = maps.BackendCounters;
        _clock = maps.Clock;
        _rateLimit = rateLimit;
        _limits = limits;
        _signals = options.Measure ? new SignalStage(maps) : null;
        _exchange = new ExchangeHold(maps.Exchange);
        _connections = new Tracker(maps, options.TranslateSources);
        _clients = options.Features != ServiceFlags.None ? new ClientRules(maps, options.Features, options.FlowSeed) : null;
        _choice = new BackendChoice(maps, _connections, _signals, _clients);
        _fragments = new FragmentStage(maps);
        _errors = new IcmpErrorStage(_connections, _signals);
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
        // Most packets are for nobody here, or from nobody, which a bit tells in less time than a search.
        var former = 0UL;
        var service = _known.AsService(in packet.Destination);
        if ((service & 1) != 0)
        {
            former = _connections.FindForward(in packet.Source, in packet.Destination, rawPorts, (uint)packet.Protocol);
            if (former != 0)
            {
                if (IsOverRate(in packet, in edge))
                {
                    return EdgeVerdict.RateLimited;
                }

                // A client begins a new connection when it uses the port of a closed one again, or still asks a backend that is gone.
                ref var known = ref _connections.At(Tracker.NumberOf(former));
                if (!Unsafe.IsNullRef(ref known)
                    && ((flags & (TcpFlags.Syn | TcpFlags.Ack)) != TcpFlags.Syn || (!known.IsClosed && _choice.IsInUse(in known))))
                {
                    // Of one that ended, or of another that began since in the table of before.
                    if (known.IsClosed && _exchange.Holds((uint)packet.Protocol, flags))
                    {
                        return EdgeVerdict.Held;
                    }

                    return _limits is not null && !_limits.AdmitsPacketsTo(known.BackendId, edge.Packets)
                        ? EdgeVerdict.ServiceLimited : Forward(in packet, ref known, flags, ref edge);
                }
            }
        }

        if (former == 0)
        {
            if (_known.MayBeBackend(in packet.Source))
            {
                var found = _connections.FindReply(in packet.Source, in packet.Destination, rawPorts, (uint)packet.Protocol);
                ref var known = ref _connections.At(Tracker.NumberOf(found));
                if (found != 0 && !Unsafe.IsNullRef(ref known))
                {
                    return Reply(in packet, ref known, flags, ref edge);
                }

                if (_exchange.Holds((uint)packet.Protocol, flags))
                {
                    return EdgeVerdict.Held;
                }
            }

            if (IsOverRate(in packet, in edge))
            {
                return EdgeVerdict.RateLimited;
            }

            if ((service & 1) == 0)
            {
                return EdgeVerdict.Passed;
            }
        }

        ConnectionKey key;
        key.Source = packet.Source;
        key.Destination = packet.Destination;
        key.RawPorts = rawPorts;
        key.Protocol = (uint)packet.Protocol;
        return Begin(in packet, in key, former, flags, ref edge);
    }

    private EdgeVerdict Begin(in IpPacket packet, in ConnectionKey key, ulong former, TcpFlags flags, ref EdgePacket edge)
    {
        var opened = Open(in key, former, (uint)flags, edge.Packets);
        var verdict = (EdgeVerdict)(uint)(opened >> 32);
        if (verdict != EdgeVerdict.Forwarded)
        {
            if (verdict == EdgeVerdict.Passed)
            {
                _fragments.RememberPassed(in packet);
            }

            return verdict;
        }

        ref var connection = ref _connections.At(opened);
        if (Unsafe.IsNullRef(ref connection))
        {
            return EdgeVerdict.TableFull;
        }

        _trace?.Given(connection.BackendId, 1);
        ref var counter = ref _counters.Find(connection.BackendId);
        if (!Unsafe.IsNullRef(ref counter))
        {
            counter.Connections++;
            counter.Packets += edge.Packets;
            counter.Bytes += edge.Bytes;
        }

        Rewrite(in packet, in connection, isReply: false, ref edge);
        return EdgeVerdict.Forwarded;
    }

    /// <summary>
    /// Opens a connection: a function of its own, walked once by the verifier. Gives the number of its record, with <see cref="EdgeVerdict.Forwarded"/> from bit 32 on, or another
    /// verdict there: <see cref="EdgeVerdict.Passed"/> when there is no such service.
    /// </summary>
    /// <param name="key">The packet.</param>
    /// <param name="former">What a search found of the client, and is to go; or 0.</param>
    /// <param name="flags">Flags of the packet.</param>
    /// <param name="packets">How many packets it is on the wire.</param>
    [GlobalFunction]
    private ulong Open(in ConnectionKey key, ulong former, uint flags, uint packets)
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
            return (ulong)EdgeVerdict.Passed << 32;
        }

        if (_exchange.Holds(key.Protocol, (TcpFlags)flags))
        {
            return (ulong)EdgeVerdict.Held << 32;
        }

        if (_limits is not null && (!_limits.AdmitsPackets(entry.Id, packets) || !_limits.AdmitsConnection(entry.Id)))
        {
            return (ulong)EdgeVerdict.ServiceLimited << 32;
        }

        if (former != 0)
        {
            _connections.Release(Tracker.NumberOf(former));
        }

        var verdict = _choice.Open(in key, in entry, (TcpFlags)flags, out var number);
        return (uint)number | ((ulong)verdict << 32);
    }

    private EdgeVerdict Forward(in IpPacket packet, ref Connection connection, TcpFlags flags, ref EdgePacket edge)
    {
        _trace?.Given(connection.BackendId, 0);
        if (_signals is not null && (flags & (TcpFlags.Syn | TcpFlags.Ack)) == TcpFlags.Syn)
        {
            _signals.SynRepeated(connection.BackendId);
        }

        // Once a second, with the first data of a client, and at the end.
        var now = _clock.Value;
        var asks = _signals is not null && connection.ClientPhase == ConnectionPhase.Opening && SignalStage.HasPayload(in packet);
        if (connection.LastSeen != now || (flags & Ending) != 0 || asks)
        {
            connection.LastSeen = now;
            var wasClosed = connection.IsClosed;
            connection.End |= EndOf(flags, ConnectionEnd.ClientFin);
            if (_signals is not null && (asks || SignalStage.HasPayload(in packet)))
            {
                connection.ClientPhase = ConnectionPhase.Answered;
                _signals.Asked(ref connection);
            }

            if (_signals is not null && connection.IsClosed && !wasClosed)
            {
                _signals.Closed(ref connection, byBackend: false, reset: false);
            }
        }

        ref var counter = ref _counters.Find(connection.BackendId);
        if (!Unsafe.IsNullRef(ref counter))
        {
            counter.Packets += edge.Packets;
            counter.Bytes += edge.Bytes;
        }

        Rewrite(in packet, in connection, isReply: false, ref edge);
        return EdgeVerdict.Forwarded;
    }

    private EdgeVerdict Reply(in IpPacket packet, ref Connection connection, TcpFlags flags, ref EdgePacket edge)
    {
        // Only an established connection has TCP packets like these; one of UDP goes on when it is answered again.
        if (connection.Stage != ConnectionStage.Established)
        {
            if (packet.Protocol != IpProtocol.Tcp)
            {
                connection.Stage++;
            }
            else if ((flags & (TcpFlags.Syn | TcpFlags.Rst)) == 0)
            {
                connection.Stage = ConnectionStage.Established;
            }
        }

        // As long as the client is heard each second, that is left to its packets: with the first one in a second its requests are measured.
        var now = _clock.Value;
        if (now - connection.LastSeen > 1 || (flags & Ending) != 0)
        {
            connection.LastSeen = now;
            var wasClosed = connection.IsClosed;
            connection.End |= EndOf(flags, ConnectionEnd.BackendFin);
            if (_signals is not null && connection.IsClosed && !wasClosed)
            {
                _signals.Closed(ref connection, byBackend: true, (flags & TcpFlags.Rst) != 0);
            }
        }

        if (_signals is not null && connection.Phase <= ConnectionPhase.Asked)
        {
            _signals.Answered(ref connection, (uint)flags, SignalStage.HasPayload(in packet) ? 1u : 0);
        }

        ref var counter = ref _counters.Find(connection.BackendId);
        if (!Unsafe.IsNullRef(ref counter))
        {
            counter.ReplyPackets += edge.Packets;
            counter.ReplyBytes += edge.Bytes;
        }

        Rewrite(in packet, in connection, isReply: true, ref edge);
        return EdgeVerdict.Replied;
    }

    private static ConnectionEnd EndOf(TcpFlags flags, ConnectionEnd fin) =>
        (flags & TcpFlags.Rst) != 0 ? ConnectionEnd.Reset : (flags & TcpFlags.Fin) != 0 ? fin : ConnectionEnd.None;

    private void Rewrite(in IpPacket packet, in Connection connection, bool isReply, ref EdgePacket edge)
    {
        RewriteDelta delta;
        delta.Address = isReply ? (-ChecksumDelta.FromRaw(connection.AddressDelta)).Raw : connection.AddressDelta;
        delta.Full = isReply ? (-ChecksumDelta.FromRaw(connection.FullDelta)).Raw : connection.FullDelta;
        if (_connections.Translates && connection.Kind == ConnectionKind.Translated)
        {
            ref var alias = ref _connections.At(connection.Link);
            if (Unsafe.IsNullRef(ref alias))
            {
                return;
            }

            if (isReply)
            {
                _rewriter.Both(in packet, in connection.Virtual, connection.VirtualPort, in connection.Client, connection.ClientPort, delta, ref edge);
            }
            else
            {
                _rewriter.Both(in packet, in alias.Client, alias.ClientPort, in connection.Backend, connection.BackendPort, delta, ref edge);
            }
        }
        else if (isReply)
        {
            _rewriter.Source(in packet, in connection.Virtual, connection.VirtualPort, delta, ref edge);
        }
        else
        {
            _rewriter.Destination(in packet, in connection.Backend, connection.BackendPort, delta, ref edge);
        }

        _fragments.Remember(in packet, delta.Address);
    }
}
