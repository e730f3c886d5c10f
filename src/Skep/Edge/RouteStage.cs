using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Edge;

/// <summary>How a packet goes on.</summary>
internal enum RouteKind
{
    /// <summary>By the network stack.</summary>
    Stack,
    /// <summary>Out of a device to a neighbour, whose Ethernet address the kernel finds.</summary>
    Neighbour,
    /// <summary>In at the other end of a virtual pair; it has its Ethernet addresses.</summary>
    Peer,
}

/// <summary>
/// Kernel half: sends a rewritten packet on by the routing table, past the forwarding of the network stack and its rules; where it would leave by a virtual pair, straight
/// in at the other end, past the queue between the two. What the table does not send on at once (no route, for this host, longer than the MTU, last hop) goes to the stack,
/// which answers it. Kernel 5.10.
/// </summary>
internal sealed unsafe class RouteStage(ArrayMap<uint>? peers, bool tellsDevice)
{
    private const byte IPv4Family = 2, IPv6Family = 10;

    // Null where packets leave: only what comes in can be handed to a peer.
    private readonly ArrayMap<uint>? _peers = peers;

    // Of a neighbour that has not answered yet, a kernel that is new enough tells the device all the same, and the redirect asks for it.
    private readonly bool _tellsDevice = tellsDevice;

    /// <summary>Finds the way and takes a hop off, unless the stack is to have the packet. The packet's addresses are those it leaves with.</summary>
    internal RouteKind Take(ref TcContext context, in IpPacket packet, byte* start, out uint device, out NextHop nextHop)
    {
        device = 0;
        nextHop = default;
        var route = default(FibRoute);
        route.Interface = context.Interface;
        route.Protocol = (byte)packet.Protocol;
        if (packet.IsIPv6)
        {
            var header = (IPv6Header*)packet.Network;
            if (header->HopLimit <= 1)
            {
                return RouteKind.Stack;
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
            var header = (IPv4Header*)packet.Network;
            if (header->TimeToLive <= 1)
            {
                return RouteKind.Stack;
            }

            route.Family = IPv4Family;
            route.TypeOfService = header->TypeOfService;
            route.Source0 = header->Source.Raw;
            route.Destination0 = header->Destination.Raw;
        }

        var result = context.FibLookup(&route, sizeof(FibRoute), FibFlags.None);
        if (result != (int)FibResult.Success && (!_tellsDevice || result != (int)FibResult.NoNeighbour))
        {
            return RouteKind.Stack;
        }

        if (packet.IsIPv6)
        {
            ((IPv6Header*)packet.Network)->HopLimit--;
        }
        else
        {
            var header = (IPv4Header*)packet.Network;
            var before = NetworkUInt16.FromRaw((ushort)(header->TimeToLive | ((uint)header->Protocol << 8)));
            header->TimeToLive--;
            var after = NetworkUInt16.FromRaw((ushort)(header->TimeToLive | ((uint)header->Protocol << 8)));
            header->Checksum = ChecksumDelta.Of(before, after).Apply(header->Checksum);
        }

        device = route.Interface;
        if (_peers is not null && result == (int)FibResult.Success)
        {
            ref var peer = ref _peers.Find(device);
            if (!Unsafe.IsNullRef(ref peer) && peer != 0)
            {
                Address(start, in route);
                return RouteKind.Peer;
            }
        }

        nextHop.Family = route.Family;
        nextHop.Address0 = route.Destination0;
        nextHop.Address1 = route.Destination1;
        nextHop.Address2 = route.Destination2;
        nextHop.Address3 = route.Destination3;
        return RouteKind.Neighbour;
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
