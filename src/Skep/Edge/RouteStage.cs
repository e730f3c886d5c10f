using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Edge;

/// <summary>
/// Kernel half: sends a rewritten packet on by the routing table, past the forwarding of the network stack and its rules. What the table does not send on at
/// once (no route, for this host, longer than the MTU, last hop) goes to the stack, which answers it. Kernel 5.10.
/// </summary>
internal sealed unsafe class RouteStage(bool skipsNeighbour)
{
    private const byte IPv4Family = 2, IPv6Family = 10;

    // BPF_FIB_LOOKUP_SKIP_NEIGH: the redirect looks the neighbour up anyway, and keeps it alive.
    private readonly FibFlags _flags = skipsNeighbour ? FibFlags.SkipNeighbour : FibFlags.None;

    /// <summary>Finds the way and takes a hop off; false when the stack is to have the packet. The packet's addresses are those it leaves with.</summary>
    internal bool TryTake(ref TcContext context, in IpPacket packet, out uint device, out NextHop nextHop)
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
                return false;
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
                return false;
            }

            route.Family = IPv4Family;
            route.TypeOfService = header->TypeOfService;
            route.Source0 = header->Source.Raw;
            route.Destination0 = header->Destination.Raw;
        }

        if (context.FibLookup(&route, sizeof(FibRoute), _flags) != (int)FibResult.Success)
        {
            return false;
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
        nextHop.Family = route.Family;
        nextHop.Address0 = route.Destination0;
        nextHop.Address1 = route.Destination1;
        nextHop.Address2 = route.Destination2;
        nextHop.Address3 = route.Destination3;
        return true;
    }
}
