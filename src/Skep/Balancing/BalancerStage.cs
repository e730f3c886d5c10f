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
public sealed unsafe class BalancerStage
{
    private const TcpFlags Ending = TcpFlags.Fin | TcpFlags.Rst;

    private readonly HashMap<ServiceKey, ServiceEntry> _services;
    private readonly LruHashMap<ConnectionKey, Connection> _connections;
    private readonly PerCpuArrayMap<BackendCounter> _counters;
    private readonly Global<uint> _clock;
    private readonly RateLimitStage? _rateLimit;
    private readonly BackendChoice _choice;
    private readonly FragmentStage _fragments;
    private readonly IcmpErrorStage _errors;

    /// <summary>A balancer over <paramref name="maps"/>. Answers of backends are exempt from the rate limit, which is why it is applied in here.</summary>
    public BalancerStage(BalancerMaps maps, RateLimitStage? rateLimit)
    {
        ArgumentNullException.ThrowIfNull(maps);
        _services = maps.Services;
        _connections = maps.Connections;
        _counters = maps.BackendCounters;
        _clock = maps.Clock;
        _rateLimit = rateLimit;
        _choice = new BackendChoice(maps);
        _fragments = new FragmentStage(maps);
        _errors = new IcmpErrorStage(maps.Connections);
    }

    /// <summary>Decides about a packet and rewrites it.</summary>
    /// <param name="packet">Its network header.</param>
    /// <param name="end">One past the last readable byte.</param>
    /// <param name="length">Bytes of the frame.</param>
    public EdgeVerdict Run(in IpPacket packet, byte* end, uint length)
    {
        if (packet.Fragment == FragmentKind.Later)
        {
            return IsOverRate(in packet) ? EdgeVerdict.RateLimited : _fragments.Route(in packet);
        }

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
            return IsOverRate(in packet) ? EdgeVerdict.RateLimited : _errors.Route(in packet, end);
        }

        return Balance(in packet, *(uint*)packet.Transport, flags, length);
    }

    private bool IsOverRate(in IpPacket packet) => _rateLimit is not null && !_rateLimit.Admits(in packet.Source);

    private EdgeVerdict Balance(in IpPacket packet, uint rawPorts, TcpFlags flags, uint length)
    {
        ConnectionKey key;
        key.Source = packet.Source;
        key.Destination = packet.Destination;
        key.RawPorts = rawPorts;
        key.Protocol = (uint)packet.Protocol;
        ref var known = ref _connections.Find(in key);
        if (!Unsafe.IsNullRef(ref known) && known.Direction == ConnectionDirection.Reply)
        {
            return Reply(in packet, in key, ref known, flags, length);
        }

        if (IsOverRate(in packet))
        {
            return EdgeVerdict.RateLimited;
        }

        // A client that uses the port of a closed connection again begins a new one.
        if (!Unsafe.IsNullRef(ref known)
            && (!known.IsClosed || (flags & (TcpFlags.Syn | TcpFlags.Ack)) != TcpFlags.Syn))
        {
            return Forward(in packet, in key, ref known, flags, length);
        }

        return Begin(in packet, in key, length);
    }

    private EdgeVerdict Begin(in IpPacket packet, in ConnectionKey key, uint length)
    {
        ServiceKey service;
        service.Address = key.Destination;
        service.RawPort = key.DestinationPort.Raw;
        service.Protocol = key.Protocol;
        ref var entry = ref _services.Find(in service);
        if (Unsafe.IsNullRef(ref entry))
        {
            return EdgeVerdict.Passed;
        }

        var verdict = _choice.Open(in key, entry.RingStart, out var connection);
        if (verdict != EdgeVerdict.Forwarded)
        {
            return verdict;
        }

        ref var counter = ref _counters.Find(connection.Backend);
        if (!Unsafe.IsNullRef(ref counter))
        {
            counter.Connections++;
            counter.Packets++;
            counter.Bytes += length;
        }

        Rewriter.Destination(in packet, in connection);
        _fragments.Remember(in packet, in connection);
        return EdgeVerdict.Forwarded;
    }

    private EdgeVerdict Forward(in IpPacket packet, in ConnectionKey key, ref Connection connection, TcpFlags flags, uint length)
    {
        connection.LastSeen = _clock.Value;
        if ((flags & Ending) != 0)
        {
            ConnectionKey twin;
            twin.Source = connection.NewAddress;
            twin.Destination = key.Source;
            twin.RawPorts = connection.NewPort.Raw | (key.RawPorts << 16);
            twin.Protocol = key.Protocol;
            MarkEnd(ref connection, in twin, (flags & TcpFlags.Rst) != 0 ? ConnectionEnd.Reset : ConnectionEnd.ClientFin);
        }

        ref var counter = ref _counters.Find(connection.Backend);
        if (!Unsafe.IsNullRef(ref counter))
        {
            counter.Packets++;
            counter.Bytes += length;
        }

        Rewriter.Destination(in packet, in connection);
        _fragments.Remember(in packet, in connection);
        return EdgeVerdict.Forwarded;
    }

    private EdgeVerdict Reply(in IpPacket packet, in ConnectionKey key, ref Connection connection, TcpFlags flags, uint length)
    {
        connection.LastSeen = _clock.Value;
        if ((flags & Ending) != 0)
        {
            ConnectionKey twin;
            twin.Source = key.Destination;
            twin.Destination = connection.NewAddress;
            twin.RawPorts = (key.RawPorts >> 16) | ((uint)connection.NewPort.Raw << 16);
            twin.Protocol = key.Protocol;
            MarkEnd(ref connection, in twin, (flags & TcpFlags.Rst) != 0 ? ConnectionEnd.Reset : ConnectionEnd.BackendFin);
        }

        ref var counter = ref _counters.Find(connection.Backend);
        if (!Unsafe.IsNullRef(ref counter))
        {
            counter.ReplyPackets++;
            counter.ReplyBytes += length;
        }

        Rewriter.Source(in packet, in connection);
        _fragments.Remember(in packet, in connection);
        return EdgeVerdict.Replied;
    }

    // Rare, so that both entries can afford to know how the connection ended.
    private void MarkEnd(ref Connection connection, in ConnectionKey twinKey, ConnectionEnd end)
    {
        connection.End |= end;
        ref var twin = ref _connections.Find(in twinKey);
        if (!Unsafe.IsNullRef(ref twin))
        {
            twin.End |= end;
        }
    }
}
