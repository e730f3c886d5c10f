using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Edge;
using Skep.Edge.Tracing;
using Skep.Filtering;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// Kernel half of direct return: finds the service of a packet, the backend of its flow, and sends the packet there in outer headers. What nearly all packets are,
/// of a known flow and of plain shape, costs no call but the one that makes room for the headers; all the rest is found by <see cref="Match"/>.
/// </summary>
public sealed unsafe class DirectStage
{
    private readonly VipFlags _features;
    private readonly VipLookup _vips;
    private readonly VipTableLookup? _ranges;
    private readonly KnownAddresses? _known;
    private readonly FlowCache _flows;
    private readonly QuicRoute? _quic;
    private readonly SecondHopStage? _secondHop;
    private readonly FlowSampler? _sampler;
    private readonly TraceStage? _trace;
    private readonly DirectChoice _choice;
    private readonly Encapsulator _encapsulator;
    private readonly EmbeddedFlow _errors;
    private readonly TooBigStage _tooBig;
    private readonly DirectFragments _fragments;
    private readonly RateLimitStage? _rateLimit;
    private readonly ServiceLimitStage? _limits;
    private readonly ArrayMap<Tunnel> _tunnels;
    private readonly PerCpuArrayMap<BackendCounter> _counters;

    /// <summary>Beyond all verdicts: the packet is for none of these services, but may be for another one.</summary>
    internal const uint IsLeft = 0x200;

    /// <summary>Beyond all verdicts: whose the packet is was not found out.</summary>
    internal const uint IsOpen = 0x400;

    /// <summary>A stage over <paramref name="maps"/>.</summary>
    /// <param name="maps">Maps.</param>
    /// <param name="options">What its services need.</param>
    /// <param name="rateLimit">Limit of sources, or null.</param>
    /// <param name="limits">Limits of services, or null.</param>
    /// <param name="isLast">Whether no balancing by rewriting follows, which would judge fragments that are not ours.</param>
    /// <param name="trace">Writes down the packets of one connection, or null.</param>
    internal DirectStage(BalancerMaps maps, DirectOptions options, RateLimitStage? rateLimit, ServiceLimitStage? limits, bool isLast, TraceStage? trace)
    {
        ArgumentNullException.ThrowIfNull(maps);
        ArgumentNullException.ThrowIfNull(options);
        _features = options.Features;
        var table = new VipTableLookup(maps.Direct.Vips);
        _vips = options.Vips is { } list ? new VipCode(list, list.IsWhole ? null : table) : table;
        _ranges = options is { Ranges: true, Vips: not { IsWhole: true } } ? table : null;
        _known = isLast ? null : new KnownAddresses(maps.Known);
        var signals = options.Measure ? new DirectSignals(maps) : null;
        _sampler = options.Sample ? new FlowSampler(maps) : null;
        _flows = new FlowCache(maps.Direct, options.Seed, signals);
        _encapsulator = new Encapsulator(options);
        _limits = (options.Features & VipFlags.Limited) != 0 ? limits : null;
        _choice = new DirectChoice(maps, _flows, _limits, signals, options.Features);
        _errors = new EmbeddedFlow();
        _tooBig = new TooBigStage();
        _quic = (options.Features & VipFlags.Quic) != 0 ? new QuicRoute(maps, _flows) : null;
        _secondHop = (options.Features & VipFlags.SecondChance) != 0 ? new SecondHopStage(maps, _encapsulator, _tooBig) : null;
        _fragments = new DirectFragments(maps, _flows, isLast);
        _rateLimit = rateLimit;
        _trace = trace;
        _tunnels = maps.Direct.Tunnels;
        _counters = maps.BackendCounters;
    }

    /// <summary>Sends a packet of plain shape and of an established flow to its backend; nothing is changed of any other.</summary>
    /// <param name="context">The packet.</param>
    /// <param name="packet">The packet, as <see cref="IpPacket.TryParsePlain"/> read it.</param>
    /// <param name="edge">The packet.</param>
    /// <param name="action">What becomes of the frame.</param>
    /// <returns>
    /// What became of it; <see cref="EdgeVerdict.Passed"/> when it is for none of the services, <see cref="IsLeft"/> when balancing by rewriting may have something to do with
    /// it then, and <see cref="IsOpen"/> when <see cref="Match"/> is to look at it.
    /// </returns>
    internal uint DeliverPlain(ref XdpContext context, in IpPacket packet, in EdgePacket edge, ref XdpAction action)
    {
        var ports = Unsafe.ReadUnaligned<uint>(packet.Transport);
        var protocol = packet.Protocol;
        if (protocol == IpProtocol.Tcp && (((TcpHeader*)packet.Transport)->Flags & (TcpFlags.Syn | TcpFlags.Fin | TcpFlags.Rst)) != 0)
        {
            return IsOpen;
        }

        if (!TryFindService(in packet.Destination, packet.IsIPv6, ports, protocol, out var service, out var flags, out var isStranger))
        {
            return _known is not null && (!isStranger || _known.MayBeBackend(in packet.Source)) ? IsLeft
                : (uint)(IsOverRate(in packet.Source) ? EdgeVerdict.RateLimited : EdgeVerdict.Passed);
        }

        if ((flags & _features & VipFlags.Untracked) != 0)
        {
            return IsOpen;
        }

        var delivery = default(Delivery);
        delivery.Key.Source = packet.Source;
        delivery.Key.Destination = packet.Destination;
        delivery.Key.RawPorts = ports;
        delivery.Key.Protocol = (uint)protocol;
        delivery.Hash = _flows.HashOf(in packet.Source, ports, service);
        delivery.Backend = _flows.FindEstablished(delivery.Hash);
        if (delivery.Backend == 0)
        {
            return IsOpen;
        }

        var verdict = EdgeVerdict.Forwarded;
        if (_quic is not null && protocol == IpProtocol.Udp && (flags & VipFlags.Quic) != 0)
        {
            var header = packet.IsIPv6 ? (uint)sizeof(IPv6Header) : (uint)sizeof(IPv4Header);
            var named = _quic.BackendOf(ref context, (uint)sizeof(EthernetHeader) + header, service, delivery.Hash, delivery.Backend);
            delivery.Backend = named & 0xFFFF;
            verdict = (named & QuicRoute.IsNamed) != 0 ? EdgeVerdict.QuicForwarded : verdict;
        }

        ref var tunnel = ref _tunnels.Find(delivery.Backend);
        if (Unsafe.IsNullRef(ref tunnel) || tunnel.Owner != service + 1 || !InnerPacket.TryReadPlain(in packet, edge.Length, out var inner))
        {
            return IsOpen;
        }

        var way = _encapsulator.WayOf(ref tunnel);
        if (way.Interface == 0 || inner.Length > tunnel.Room)
        {
            return IsOpen;
        }

        var admitted = Admit(in packet.Source, service, flags);
        if (admitted != EdgeVerdict.Forwarded)
        {
            return (uint)admitted;
        }

        return (uint)(Send(ref context, ref tunnel, in way, packet.Network, edge.End, in inner, in delivery, DeliveryMarks.Summed, edge.Length, ref action)
            ? verdict : EdgeVerdict.Undeliverable);
    }

    /// <summary>Says whose a packet is and where it goes; nothing of it is changed.</summary>
    /// <param name="context">The packet.</param>
    /// <param name="edge">The packet.</param>
    /// <param name="delivery">The packet, as <see cref="Delivery.Describe"/> wrote it down.</param>
    /// <returns>
    /// <see cref="EdgeVerdict.Forwarded"/> when it is to be delivered, <see cref="EdgeVerdict.Passed"/> when it is none of the stage's, or what became of it; then the
    /// action stands above bit 31.
    /// </returns>
    internal ulong Match(ref XdpContext context, in EdgePacket edge, ref Delivery delivery) =>
        delivery.IsLater ? (ulong)MatchLater(ref delivery) : MatchFlow(ref context, in edge, ref delivery);

    // The service with direct return of a receiver. A stranger's address is no service's.
    private bool TryFindService(in IpAddress address, bool isIPv6, uint ports, IpProtocol protocol, out uint service, out VipFlags flags, out bool isStranger)
    {
        isStranger = false;
        var port = NetworkUInt16.FromRaw((ushort)(ports >> 16));
        if (!_vips.TryFind(in address, isIPv6, port, protocol, out service, out flags))
        {
            isStranger = _known is not null && !_known.MayBeService(in address);
            if (isStranger || _ranges is null || !_ranges.TryFindRange(in address, port, protocol, out var slot))
            {
                return false;
            }

            service = slot.Service;
            flags = slot.Flags;
        }

        if (!_vips.IsOne)
        {
            // Whichever of several it is: one state for the verifier from here on.
            service = (uint)Verifier.Forget(service, ports) & ushort.MaxValue;
            flags = (VipFlags)(uint)Verifier.Forget((uint)flags, ports);
        }

        return (flags & _features & VipFlags.Rewritten) == 0;
    }

    private EdgeVerdict Admit(in IpAddress source, uint service, VipFlags flags)
    {
        if (IsOverRate(in source))
        {
            return EdgeVerdict.RateLimited;
        }

        return _limits is not null && (flags & VipFlags.Limited) != 0 && !_limits.AdmitsPackets(service, 1) ? EdgeVerdict.ServiceLimited : EdgeVerdict.Forwarded;
    }

    private EdgeVerdict MatchLater(ref Delivery delivery)
    {
        var key = FragmentStage.KeyOf(in delivery);
        var found = (EdgeVerdict)_fragments.FindLater(in key, ref delivery);
        return found == EdgeVerdict.Forwarded && IsOverRate(in key.Source) ? EdgeVerdict.RateLimited : found;
    }

    private ulong MatchFlow(ref XdpContext context, in EdgePacket edge, ref Delivery delivery)
    {
        // Before an embedded flow takes their place.
        var fragment = FragmentStage.KeyOf(in delivery);
        var marks = delivery.Marks;
        var isIPv6 = (marks & DeliveryMarks.IPv6) != 0;
        var transport = edge.Start + (nuint)(delivery.Transport & 0x3FFF);
        var protocol = (IpProtocol)delivery.Key.Protocol;
        var kind = FlowPacketKind.Ordinary;
        if (protocol == IpProtocol.Tcp)
        {
            if (transport + sizeof(TcpHeader) > edge.End)
            {
                return (ulong)EdgeVerdict.Malformed;
            }

            delivery.Key.RawPorts = Unsafe.ReadUnaligned<uint>(transport);
            kind = KindOf(((TcpHeader*)transport)->Flags);
        }
        else if (protocol == IpProtocol.Udp)
        {
            if (transport + sizeof(UdpHeader) > edge.End)
            {
                return (ulong)EdgeVerdict.Malformed;
            }

            delivery.Key.RawPorts = Unsafe.ReadUnaligned<uint>(transport);
        }
        else if (protocol == (isIPv6 ? IpProtocol.IcmpV6 : IpProtocol.Icmp))
        {
            kind = FlowPacketKind.Error;
            if (_errors.Read(ref context, ref delivery.Key, delivery.Transport, (uint)protocol) == 0)
            {
                return (ulong)EdgeVerdict.Passed;
            }
        }
        else
        {
            return (ulong)EdgeVerdict.Passed;
        }

        kind = (FlowPacketKind)(Verifier.Forget((ulong)kind, (ulong)(edge.End - edge.Start)) & 7);
        if (!TryFindService(in delivery.Key.Destination, isIPv6, delivery.Key.RawPorts, (IpProtocol)delivery.Key.Protocol, out var service, out var flags, out _))
        {
            if ((marks & DeliveryMarks.First) != 0)
            {
                _fragments.RememberFirst(in fragment, 0);
            }

            return (ulong)EdgeVerdict.Passed;
        }

        var admitted = Admit(in fragment.Source, service, flags);
        if (admitted != EdgeVerdict.Forwarded)
        {
            return (ulong)admitted;
        }

        delivery.Marks = marks | (DeliveryMarks)kind
            | (kind < FlowPacketKind.Error && (marks & DeliveryMarks.First) == 0
                && (!isIPv6 || delivery.Transport - delivery.Link == sizeof(IPv6Header)) ? DeliveryMarks.Summed : 0);
        var found = _choice.Find(ref context, ref delivery, service, (uint)(flags & _features));
        if (_secondHop is not null && (marks & DeliveryMarks.First) == 0 && (uint)(found >> 32) is var second and not 0)
        {
            return _secondHop.Send(ref context, in delivery, delivery.Backend | (second << 16), delivery.Link);
        }

        if ((marks & DeliveryMarks.First) != 0 && (EdgeVerdict)(uint)found == EdgeVerdict.Forwarded)
        {
            _fragments.RememberFirst(in fragment, delivery.Backend);
        }

        return (uint)found;
    }

    /// <summary>Sends a packet to its backend: a function of its own, for all but plain packets of established flows.</summary>
    /// <param name="context">The packet.</param>
    /// <param name="delivery">Where it goes.</param>
    /// <returns>What became of it, and above bit 31 the action.</returns>
    [GlobalFunction]
    internal ulong Deliver(ref XdpContext context, ref Delivery delivery)
    {
        var data = context.Data;
        var end = context.DataEnd;
        var length = (uint)(end - data);
        var network = data + (nuint)(delivery.Link & 31);
        ref var tunnel = ref _tunnels.Find(delivery.Backend);
        if (Unsafe.IsNullRef(ref tunnel))
        {
            return Result(EdgeVerdict.NoBackend, XdpAction.Pass);
        }

        if (!InnerPacket.TryRead(network, data, end, out var inner))
        {
            return Result(EdgeVerdict.Malformed, XdpAction.Pass);
        }

        var way = _encapsulator.WayOf(ref tunnel);
        uint room = tunnel.Room;
        if (inner.Length > room && (room == 0 || !inner.MayBeFragmented))
        {
            return Result(
                room != 0 && _tooBig.Answer(ref context, inner.LinkLength, room, inner.IsIPv6 ? 6u : 4) != 0
                    ? EdgeVerdict.TooBig : EdgeVerdict.Undeliverable,
                XdpAction.Tx);
        }

        var action = XdpAction.Pass;
        return Send(ref context, ref tunnel, in way, network, end, in inner, in delivery, delivery.Marks, length, ref action)
            ? Result(SentAs((FlowPacketKind)(delivery.Marks & DeliveryMarks.Kind)), action) : Result(EdgeVerdict.Undeliverable, action);
    }

    private static ulong Result(EdgeVerdict verdict, XdpAction action) => (ulong)verdict | ((ulong)action << 32);

    private bool Send(
        ref XdpContext context, ref Tunnel tunnel, in Way way, byte* network, byte* end, in InnerPacket inner, in Delivery delivery, DeliveryMarks marks, uint length,
        ref XdpAction action)
    {
        var isNew = (uint)(marks & DeliveryMarks.New) / (uint)DeliveryMarks.New;
        _trace?.Given(delivery.Backend, isNew);
        if (_sampler is not null)
        {
            Sample(_sampler, network, end, in inner, in delivery, marks);
        }

        Count(delivery.Backend, length, isNew);
        return _encapsulator.Send(ref context, ref tunnel, in way, network, in inner, end, in delivery, (marks & DeliveryMarks.Summed) != 0, ref action);
    }

    // Nobody's business but the sampler's: nothing of what follows depends on it.
    private static void Sample(FlowSampler sampler, byte* network, byte* end, in InnerPacket inner, in Delivery delivery, DeliveryMarks marks)
    {
        if ((marks & DeliveryMarks.Summed) == 0 || delivery.Key.Protocol != (uint)IpProtocol.Tcp || !sampler.IsSampled(delivery.Hash))
        {
            return;
        }

        var header = inner.IsIPv6 ? (uint)sizeof(IPv6Header) : ((IPv4Header*)network)->HeaderLength;
        var transport = network + header;
        if (transport + sizeof(TcpHeader) > end)
        {
            return;
        }

        var tcp = (TcpHeader*)transport;
        var headers = header + tcp->HeaderLength;
        sampler.Look(
            delivery.Hash, FlowSampler.Join(delivery.Backend, tcp->Flags), tcp->Sequence.Value, tcp->Acknowledgment.Value,
            inner.Length > headers ? inner.Length - headers : 0);
    }

    /// <summary>Whether a source exceeds its rate.</summary>
    internal bool IsOverRate(in IpAddress source) => _rateLimit is not null && !_rateLimit.Admits(in source, 1);

    private static EdgeVerdict SentAs(FlowPacketKind kind) => kind switch
    {
        FlowPacketKind.Later => EdgeVerdict.FragmentForwarded,
        FlowPacketKind.Error => EdgeVerdict.IcmpForwarded,
        FlowPacketKind.Named => EdgeVerdict.QuicForwarded,
        _ => EdgeVerdict.Forwarded,
    };

    private void Count(uint backend, uint length, uint isNew)
    {
        ref var counter = ref _counters.Find(backend);
        if (!Unsafe.IsNullRef(ref counter))
        {
            if (isNew != 0)
            {
                counter.Connections++;
            }

            counter.Packets++;
            counter.Bytes += length;
        }
    }

    // Opening with SYN and without ACK, else ending with FIN or RST. Without a branch: the verifier would tell the kinds apart in what follows.
    private static FlowPacketKind KindOf(TcpFlags flags)
    {
        var (fin, syn, rst, ack) = ((uint)flags, (uint)flags >> 1, (uint)flags >> 2, (uint)flags >> 4);
        var opens = syn & ~ack & 1;
        return (FlowPacketKind)(opens | (((fin | rst) & 1 & ~opens) << 1));
    }
}
