using System.Runtime.CompilerServices;
using Skep.Balancing;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Edge;

/// <summary>
/// The edge where packets leave: translates the ICMP errors that this host makes itself about packets it had rewritten before (last hop, too long, no
/// route), which name a backend that the client never heard of, or a client that the backend never heard of. All other packets cost one look at their protocol.
/// An error that turns out to be for another end than it was addressed to leaves by the routing table. Kernel 5.10.
/// </summary>
public sealed unsafe class HostErrorProgram : TcProgram
{
    // Ethernet, two tags, IP header, ICMP header, embedded IPv4 header with options, embedded ports.
    private const uint Headers = 14 + 8 + 60 + 8 + 60 + 8;

    private readonly IcmpErrorStage _errors;
    private readonly RouteStage _routes = new();
    private readonly PerCpuArrayMap<EdgeCounter> _counters;
    private readonly bool _hasEthernetHeader;

    /// <summary>A program over the maps of the edge.</summary>
    /// <param name="maps">The maps.</param>
    /// <param name="translatesSources">Whether there are connections whose client's address is replaced.</param>
    /// <param name="hasEthernetHeader">Whether packets begin with an Ethernet header.</param>
    public HostErrorProgram(EdgeMaps maps, bool translatesSources, bool hasEthernetHeader = true)
    {
        ArgumentNullException.ThrowIfNull(maps);
        _errors = new IcmpErrorStage(new Tracker(maps.Balancing, translatesSources), signals: null);
        _counters = maps.Counters;
        _hasEthernetHeader = hasEthernetHeader;
    }

    /// <inheritdoc/>
    public override string Name => "skep_edge_out";

    /// <inheritdoc/>
    public override TcAction Run(ref TcContext context)
    {
        if (!IsIcmp(ref context))
        {
            return TcAction.Unspec;
        }

        var length = context.Length;
        if ((ulong)(context.DataEnd - context.Data) < (length < Headers ? length : Headers) && context.PullData(length < Headers ? length : Headers) < 0)
        {
            return TcAction.Unspec;
        }

        if (Parse(ref context, context.Data, context.DataEnd, out var packet) != ParseStatus.Ip || packet.Fragment != FragmentKind.None)
        {
            return TcAction.Unspec;
        }

        var receiver = packet.Destination;
        if (_errors.Route(in packet, context.DataEnd) != EdgeVerdict.IcmpForwarded)
        {
            return TcAction.Unspec;
        }

        ref var counter = ref _counters.Find((uint)EdgeVerdict.IcmpForwarded);
        if (!Unsafe.IsNullRef(ref counter))
        {
            counter.Packets++;
            counter.Bytes += length;
        }

        return IsFor(in packet, in receiver) ? TcAction.Unspec : (TcAction)_routes.Take(ref context, in packet);
    }

    private static bool IsFor(in IpPacket packet, in IpAddress receiver) => packet.IsIPv6
        ? ((IPv6Header*)packet.Network)->Destination == receiver
        : ((IPv4Header*)packet.Network)->Destination.Raw == receiver.RawIPv4;

    // The stack makes these without tags and without extension headers.
    private bool IsIcmp(ref TcContext context)
    {
        var type = NetworkUInt16.FromRaw((ushort)context.Protocol);
        var network = context.Data + (_hasEthernetHeader ? sizeof(EthernetHeader) : 0);
        if (type == EtherTypes.IPv4)
        {
            return network + sizeof(IPv4Header) <= context.DataEnd && ((IPv4Header*)network)->Protocol == IpProtocol.Icmp;
        }

        return type == EtherTypes.IPv6 && network + sizeof(IPv6Header) <= context.DataEnd && ((IPv6Header*)network)->NextHeader == IpProtocol.IcmpV6;
    }

    private ParseStatus Parse(ref TcContext context, byte* data, byte* end, out IpPacket packet) => _hasEthernetHeader
        ? IpPacket.Parse(data, end, out packet)
        : IpPacket.ParseNetwork(data, end, NetworkUInt16.FromRaw((ushort)context.Protocol) == EtherTypes.IPv6, out packet);
}
