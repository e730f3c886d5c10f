using System.Runtime.CompilerServices;
using Skep.Bpf.Features;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Edge;

/// <summary>
/// Kernel half: sends a rewritten packet on by the routing table, past the forwarding of the network stack and its rules; where it would leave by a virtual pair, straight
/// in at the other end, past the queue between the two. What the table does not send on at once (no route, for this host, longer than the MTU, last hop) goes to the stack,
/// which answers it. Kernel 5.10.
/// </summary>
/// <param name="peers">Devices whose other end can be reached; null where packets leave, because there the kernel hands none over.</param>
internal sealed unsafe class RouteStage(ArrayMap<uint>? peers = null)
{
    private const byte IPv4Family = 2, IPv6Family = 10;
    private const uint IPv6 = 256;

    private static readonly Version s_tellsDevice = new(5, 11), s_skipsNeighbour = new(6, 3);

    private readonly ArrayMap<uint>? _peers = peers;

    // BPF_FIB_LOOKUP_SKIP_NEIGH: the redirect to a neighbour looks it up anyway, and keeps it alive.
    private readonly FibFlags _flags = peers is null && FeatureProbe.RunningKernel >= s_skipsNeighbour ? FibFlags.SkipNeighbour : FibFlags.None;

    // Of a neighbour that has not answered yet, a kernel that is new enough tells the device all the same, and the redirect asks for it.
    private readonly bool _tellsDevice = FeatureProbe.RunningKernel >= s_tellsDevice;

    /// <summary>As the other one, for a packet whose headers are at hand.</summary>
    internal int Take(ref TcContext context, in IpPacket packet) =>
        Take(ref context, packet.Network, (uint)packet.Protocol | (packet.IsIPv6 ? IPv6 : 0));

    /// <summary>
    /// Finds the way, takes a hop off and says where the packet is to go once the program is done with it, unless the stack is to have it. The packet's addresses are those
    /// it leaves with. A function of its own for the room on the stack that the way takes, and by values, because headers that are lent would need room too.
    /// </summary>
    /// <param name="context">The packet.</param>
    /// <param name="network">Its IP header.</param>
    /// <param name="kind">Its transport protocol; plus 256 for IPv6.</param>
    /// <returns>The action to end with; <see cref="TcAction.Unspec"/> when the stack is to have it.</returns>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private int Take(ref TcContext context, byte* network, uint kind)
    {
        var isIPv6 = (kind & IPv6) != 0;
        var route = default(FibRoute);
        route.Interface = context.Interface;
        route.Protocol = (byte)kind;
        if (isIPv6)
        {
            var header = (IPv6Header*)network;
            if (header->HopLimit <= 1)
            {
                return (int)TcAction.Unspec;
            }

            var source = header->Source;
            var destination = header->Destination;
            route.Family = IPv6Family;
            (route.Source0, route.Source1) = ((uint)source.RawUpper, (uint)(source.RawUpper >> 32));
            (route.Source2, route.Source3) = ((uint)source.RawLower, (uint)(source.RawLower >> 32));
            (route.Destination0, route.Destination1) = ((uint)destination.RawUpper, (uint)(destination.RawUpper >> 32));
            (route.Destination2, route.Destination3) = ((uint)destination.RawLower, (uint)(destination.RawLower >> 32));
        }
        else
        {
            var header = (IPv4Header*)network;
            if (header->TimeToLive <= 1)
            {
                return (int)TcAction.Unspec;
            }

            route.Family = IPv4Family;
            route.TypeOfService = header->TypeOfService;
            route.Source0 = header->Source.Raw;
            route.Destination0 = header->Destination.Raw;
        }

        var result = context.FibLookup(&route, sizeof(FibRoute), _flags);
        if (result != (int)FibResult.Success && (!_tellsDevice || result != (int)FibResult.NoNeighbour))
        {
            return (int)TcAction.Unspec;
        }

        if (isIPv6)
        {
            ((IPv6Header*)network)->HopLimit--;
        }
        else
        {
            var header = (IPv4Header*)network;
            var before = NetworkUInt16.FromRaw((ushort)(header->TimeToLive | ((uint)header->Protocol << 8)));
            header->TimeToLive--;
            var after = NetworkUInt16.FromRaw((ushort)(header->TimeToLive | ((uint)header->Protocol << 8)));
            header->Checksum = ChecksumDelta.Of(before, after).Apply(header->Checksum);
        }

        if (_peers is not null && result == (int)FibResult.Success)
        {
            ref var peer = ref _peers.Find(route.Interface);
            // Read again: a pointer that is kept through the stages takes room on the stack that they need.
            var start = context.Data;
            if (!Unsafe.IsNullRef(ref peer) && peer != 0 && start + sizeof(EthernetHeader) <= context.DataEnd)
            {
                Address(start, in route);
                return TcContext.RedirectPeer(route.Interface, 0);
            }
        }

        NextHop hop;
        hop.Family = route.Family;
        hop.Address0 = route.Destination0;
        hop.Address1 = route.Destination1;
        hop.Address2 = route.Destination2;
        hop.Address3 = route.Destination3;
        return TcContext.RedirectNeigh(route.Interface, &hop, sizeof(NextHop), 0);
    }

    /// <summary>The lookup gives the source's address first: source 6, destination 6.</summary>
    private static void Address(byte* start, in FibRoute route)
    {
        var halves = (ushort*)start;
        halves[0] = (ushort)(route.Mac1 >> 16);
        halves[1] = (ushort)route.Mac2;
        halves[2] = (ushort)(route.Mac2 >> 16);
        halves[3] = (ushort)route.Mac0;
        halves[4] = (ushort)(route.Mac0 >> 16);
        halves[5] = (ushort)route.Mac1;
    }
}
