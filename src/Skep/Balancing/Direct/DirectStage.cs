using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Edge;
using Skep.Filtering;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// Kernel half of direct return: finds the service of a packet, the backend of its flow, and sends the packet there in outer headers. A known flow costs no
/// call but the one that makes room for the headers.
/// </summary>
public sealed unsafe class DirectStage
{
    // Beside the kind of a packet.
    private const uint IsIPv6 = 8;
    private const uint IsFirst = 16;

    private readonly VipFlags _features;
    private readonly VipLookup _vips;
    private readonly DirectSignals? _signals;
    private readonly FlowCache _flows;
    private readonly QuicRoute? _quic;
    private readonly SecondHopStage? _secondHop;
    private readonly DirectChoice _choice;
    private readonly Encapsulator _encapsulator;
    private readonly EmbeddedFlow _errors;
    private readonly TooBigStage _tooBig;
    private readonly FragmentStage _fragments;
    private readonly RateLimitStage? _rateLimit;
    private readonly ServiceLimitStage? _limits;
    private readonly ArrayMap<Tunnel> _tunnels;
    private readonly PerCpuArrayMap<BackendCounter> _counters;
    private readonly bool _isLast;

    /// <summary>A stage over <paramref name="maps"/>.</summary>
    /// <param name="maps">Maps.</param>
    /// <param name="options">What its services need.</param>
    /// <param name="rateLimit">Limit of sources, or null.</param>
    /// <param name="limits">Limits of services, or null.</param>
    /// <param name="isLast">Whether no balancing by rewriting follows, which would judge fragments that are not ours.</param>
    public DirectStage(BalancerMaps maps, DirectOptions options, RateLimitStage? rateLimit, ServiceLimitStage? limits, bool isLast)
    {
        ArgumentNullException.ThrowIfNull(maps);
        ArgumentNullException.ThrowIfNull(options);
        _features = options.Features;
        _vips = options.Vips is { } list ? new VipCode(list) : new VipTableLookup(maps.Direct.Vips, options.Ranges);
        _signals = options.Measure ? new DirectSignals(maps) : null;
        _flows = new FlowCache(maps.Direct, options.Seed, _signals);
        _quic = (options.Features & VipFlags.Quic) != 0 ? new QuicRoute(maps, _flows) : null;
        _encapsulator = new Encapsulator(options);
        _choice = new DirectChoice(maps, _flows, (options.Features & VipFlags.SecondChance) != 0);
        _errors = new EmbeddedFlow();
        _tooBig = new TooBigStage();
        _secondHop = (options.Features & VipFlags.SecondChance) != 0 ? new SecondHopStage(maps, _encapsulator, _tooBig) : null;
        _fragments = new FragmentStage(maps);
        _rateLimit = rateLimit;
        _limits = (options.Features & VipFlags.Limited) != 0 ? limits : null;
        _tunnels = maps.Direct.Tunnels;
        _counters = maps.BackendCounters;
        _isLast = isLast;
    }

    /// <summary>Says whether a packet is the stage's, and nothing of it is changed.</summary>
    /// <returns><see cref="EdgeVerdict.Forwarded"/> when it is to be delivered, <see cref="EdgeVerdict.Passed"/> when it is none of the stage's, or why it is dropped.</returns>
    internal EdgeVerdict Match(ref XdpContext context, in IpPacket packet, ref EdgePacket edge, out DirectMatch match)
    {
        var data = edge.Start;
        var end = edge.End;
        match = default;
        match.Key.Source = packet.Source;
        match.Key.Destination = packet.Destination;
        match.Key.Protocol = (uint)packet.Protocol;
        if (packet.Fragment == FragmentKind.Later)
        {
            match.Kind = FlowPacketKind.Later;
            match.Backend = _fragments.FindBackend(in packet);
            if (match.Backend == 0)
            {
                return _isLast ? _fragments.Route(in packet, ref edge) : EdgeVerdict.Passed;
            }

            return IsOverRate(in packet) ? EdgeVerdict.RateLimited : EdgeVerdict.Forwarded;
        }

        var verdict = ReadFlow(ref context, in packet, data, end, ref match.Key, ref match.Kind);
        if (verdict != EdgeVerdict.Forwarded)
        {
            return verdict;
        }

        if (!_vips.TryFind(in match.Key.Destination, match.Key.DestinationPort, (IpProtocol)match.Key.Protocol, out match.Service, out match.Flags)
            || ((_features & VipFlags.Rewritten) != 0 && (match.Flags & VipFlags.Rewritten) != 0))
        {
            if (_isLast)
            {
                _fragments.RememberPassed(in packet);
            }

            return EdgeVerdict.Passed;
        }

        match.Flags &= _features;
        if (IsOverRate(in packet))
        {
            return EdgeVerdict.RateLimited;
        }

        return _limits is not null && (match.Flags & VipFlags.Limited) != 0 && !_limits.AdmitsPackets(match.Service, 1)
            ? EdgeVerdict.ServiceLimited : EdgeVerdict.Forwarded;
    }

    /// <summary>Sends a matched packet to its backend.</summary>
    internal EdgeVerdict Deliver(
        ref XdpContext context, in IpPacket packet, byte* data, byte* end, uint length, in DirectMatch match, ref XdpAction action)
    {
        // Whatever headers led here, one state for the verifier: what the packet is, and where it begins.
        var unknown = (ulong)(end - data);
        var what = (uint)match.Kind | (packet.IsIPv6 ? IsIPv6 : 0) | (packet.Fragment == FragmentKind.First ? IsFirst : 0);
        what = (uint)Verifier.Forget(what, unknown) & 31;
        var network = data + (nuint)(Verifier.Forget((ulong)(packet.Network - data), unknown) & 31);
        var kind = (FlowPacketKind)(what & 7);
        var delivery = default(Delivery);
        delivery.Key = match.Key;
        var backend = match.Backend;
        var isNew = 0u;
        scoped ref var tunnel = ref Unsafe.NullRef<Tunnel>();
        if (kind == FlowPacketKind.Later)
        {
            tunnel = ref _tunnels.Find(backend);
            if (Unsafe.IsNullRef(ref tunnel) || tunnel.Owner == 0)
            {
                return EdgeVerdict.StrayFragment;
            }

            delivery.Hash = _flows.HashOf(in packet.Source, packet.FragmentId, 0);
        }
        else
        {
            delivery.Hash = _flows.HashOf(in match.Key.Source, match.Key.RawPorts, match.Service);
            backend = (match.Flags & VipFlags.Untracked) != 0 ? 0
                : _flows.Find(
                    delivery.Hash, again: kind is FlowPacketKind.Ordinary or FlowPacketKind.Ending, confirms: _signals is not null && match.Key.Protocol == (uint)IpProtocol.Tcp);
            if (_quic is not null && kind == FlowPacketKind.Ordinary && (match.Flags & VipFlags.Quic) != 0)
            {
                backend |= (match.Flags & VipFlags.Untracked) != 0 ? QuicRoute.IsUntracked : 0;
                backend = _quic.BackendOf(ref context, (uint)(packet.Transport - data), match.Service, delivery.Hash, backend);
                kind = (backend & QuicRoute.IsNamed) != 0 ? FlowPacketKind.Named : kind;
            }

            backend = (uint)Verifier.Forget(backend, unknown) & 0xFFFF;
            tunnel = ref _tunnels.Find(backend);
            if (Unsafe.IsNullRef(ref tunnel))
            {
                return EdgeVerdict.NoBackend;
            }

            if (tunnel.Owner != match.Service + 1 || (kind == FlowPacketKind.Opening && (tunnel.Flags & TunnelFlags.TakesConnections) == 0))
            {
                // A connection that is not known, but does not begin, may be another balancer's.
                if (_limits is not null && (match.Flags & VipFlags.Limited) != 0
                    && (kind == FlowPacketKind.Opening || (kind == FlowPacketKind.Ordinary && match.Key.Protocol == (uint)IpProtocol.Udp && (match.Flags & VipFlags.Untracked) == 0))
                    && !_limits.AdmitsConnection(match.Service))
                {
                    return EdgeVerdict.ServiceLimited;
                }

                var choice = _choice.Choose(in match.Key, delivery.Hash, match.Service, (uint)match.Flags | ((uint)kind << 16), backend);
                if ((EdgeVerdict)(choice >> 32) != EdgeVerdict.Forwarded)
                {
                    return (EdgeVerdict)(choice >> 32);
                }

                if (_secondHop is not null && ((uint)choice >> 16) != 0 && (what & IsFirst) == 0)
                {
                    var sent = _secondHop.Send(ref context, in delivery, (uint)choice, (uint)(network - data) | (what & IsIPv6) << 5);
                    action = (XdpAction)(sent >> 32);
                    return (EdgeVerdict)(uint)sent;
                }

                backend = (uint)choice & 0xFFFF;
                tunnel = ref _tunnels.Find(backend);
                if (Unsafe.IsNullRef(ref tunnel) || tunnel.Owner != match.Service + 1)
                {
                    return EdgeVerdict.NoBackend;
                }

                isNew = kind != FlowPacketKind.Error ? 1u : 0;
                if (_signals is not null && kind == FlowPacketKind.Opening && (match.Flags & VipFlags.Untracked) == 0)
                {
                    _signals.Began(backend);
                }
            }
            else if (kind == FlowPacketKind.Ending)
            {
                _flows.Remove(delivery.Hash, 1);
            }
            else if (_signals is not null && kind == FlowPacketKind.Opening)
            {
                _signals.BeganAgain(delivery.Hash, backend);
            }

            if ((what & IsFirst) != 0)
            {
                _fragments.Remember(in packet, backend);
            }
        }

        isNew = (uint)Verifier.Forget(isNew, unknown) & 1;
        if (!InnerPacket.TryRead(network, (what & IsIPv6) != 0, data, end, out var inner))
        {
            return EdgeVerdict.Malformed;
        }

        var way = _encapsulator.WayOf(ref tunnel);
        var overhead = _encapsulator.OverheadOf(in way);
        if (inner.Length + overhead > tunnel.Mtu && (tunnel.Mtu <= overhead || !inner.MayBeFragmented))
        {
            action = XdpAction.Tx;
            return tunnel.Mtu > overhead && _tooBig.Answer(ref context, inner.LinkLength, tunnel.Mtu - overhead, inner.IsIPv6 ? 6u : 4) != 0
                ? EdgeVerdict.TooBig : EdgeVerdict.Undeliverable;
        }

        Count(backend, length, isNew);
        return _encapsulator.Send(ref context, ref tunnel, in way, in packet, in inner, end, in delivery, ref action) ? SentAs(kind) : EdgeVerdict.Undeliverable;
    }

    private static EdgeVerdict SentAs(FlowPacketKind kind) => kind switch
    {
        FlowPacketKind.Later => EdgeVerdict.FragmentForwarded,
        FlowPacketKind.Error => EdgeVerdict.IcmpForwarded,
        FlowPacketKind.Named => EdgeVerdict.QuicForwarded,
        _ => EdgeVerdict.Forwarded,
    };

    private EdgeVerdict ReadFlow(ref XdpContext context, in IpPacket packet, byte* data, byte* end, ref ConnectionKey key, ref FlowPacketKind kind)
    {
        if (packet.Protocol == IpProtocol.Tcp)
        {
            if (packet.Transport + sizeof(TcpHeader) > end)
            {
                return EdgeVerdict.Malformed;
            }

            key.RawPorts = Unsafe.ReadUnaligned<uint>(packet.Transport);
            kind = KindOf(((TcpHeader*)packet.Transport)->Flags);
            return EdgeVerdict.Forwarded;
        }

        if (packet.Protocol == IpProtocol.Udp)
        {
            if (packet.Transport + sizeof(UdpHeader) > end)
            {
                return EdgeVerdict.Malformed;
            }

            key.RawPorts = Unsafe.ReadUnaligned<uint>(packet.Transport);
            return EdgeVerdict.Forwarded;
        }

        if (packet.Protocol != (packet.IsIPv6 ? IpProtocol.IcmpV6 : IpProtocol.Icmp))
        {
            return EdgeVerdict.Passed;
        }

        kind = FlowPacketKind.Error;
        return _errors.Read(ref context, ref key, (uint)(packet.Transport - data), (uint)packet.Protocol) != 0 ? EdgeVerdict.Forwarded : EdgeVerdict.Passed;
    }

    private bool IsOverRate(in IpPacket packet) => _rateLimit is not null && !_rateLimit.Admits(in packet.Source, 1);

    private void Count(uint backend, uint length, uint isNew)
    {
        ref var counter = ref _counters.Find(backend);
        if (!Unsafe.IsNullRef(ref counter))
        {
            counter.Connections += isNew;
            counter.Packets++;
            counter.Bytes += length;
        }
    }

    private static FlowPacketKind KindOf(TcpFlags flags) =>
        (flags & (TcpFlags.Syn | TcpFlags.Ack)) == TcpFlags.Syn ? FlowPacketKind.Opening
        : (flags & (TcpFlags.Fin | TcpFlags.Rst)) != 0 ? FlowPacketKind.Ending
        : FlowPacketKind.Ordinary;
}

/// <summary>Whose a packet is.</summary>
internal struct DirectMatch
{
    /// <summary>The flow, as the client sends it.</summary>
    internal ConnectionKey Key;

    /// <summary>Id of the service.</summary>
    internal uint Service;

    /// <summary>How the service's packets are treated.</summary>
    internal VipFlags Flags;

    /// <summary>What the packet means to its flow.</summary>
    internal FlowPacketKind Kind;

    /// <summary>Backend of a later fragment.</summary>
    internal uint Backend;
}

/// <summary>What a packet means to its flow.</summary>
internal enum FlowPacketKind : byte
{
    /// <summary>The flow goes on.</summary>
    Ordinary,
    /// <summary>The client begins the connection.</summary>
    Opening,
    /// <summary>The client ends the connection.</summary>
    Ending,
    /// <summary>An ICMP error about the flow: it neither begins nor keeps it.</summary>
    Error,
    /// <summary>A later fragment, which says nothing of its flow.</summary>
    Later,
    /// <summary>The packet itself names its backend.</summary>
    Named,
}
