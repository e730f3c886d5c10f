using System.Buffers.Binary;
using System.Text;
using Skep.Balancing;
using Skep.Bpf;
using Skep.Bpf.Kernel;
using Skep.Packets;

namespace Skep.Engine;

/// <summary>
/// Ways to backends from the host's routing and neighbour tables, by rtnetlink. They are read once and then followed by what the kernel tells of its changes; when it tells
/// more than can be read, all is read again. A neighbour whose Ethernet address is not known, or not known to be right, is asked for by the kernel itself.
/// </summary>
public sealed partial class HostNextHops : INextHops
{
    // linux/rtnetlink.h, linux/if_link.h, linux/neighbour.h
    private const ushort RouteDestination = 1, RouteInterface = 4, RouteGateway = 5, RouteSource = 7, RouteMetrics = 8, RouteVia = 18;
    private const ushort MetricMtu = 2;
    private const ushort LinkAddress = 1, LinkMtu = 4, LinkParent = 5, LinkInfo = 18, InfoKind = 1, InfoData = 2, VlanIdentifier = 1;
    private const ushort NeighbourAddress = 1, NeighbourMac = 2;
    private const ushort Incomplete = 0x01, Reachable = 0x02, Stale = 0x04, Delay = 0x08, Probe = 0x10, Permanent = 0x80, NoArp = 0x40;
    private const byte Unicast = 1, UseFlag = 1;

    private readonly NetlinkSocket _socket = new();

    /// <inheritdoc/>
    public IReadOnlyDictionary<IpAddress, BackendPath> Find(IReadOnlyCollection<IpAddress> backends, TimeSpan patience = default)
    {
        ArgumentNullException.ThrowIfNull(backends);
        var deadline = Environment.TickCount64 + (long)patience.TotalMilliseconds;
        lock (_gate)
        {
            if (backends.Count > 0)
            {
                Listen();
            }

            _backends = backends;
            while (true)
            {
                var found = FindNow(out var isAsked);
                var left = deadline - Environment.TickCount64;
                if (!isAsked || left <= 0 || !Monitor.Wait(_gate, (int)left))
                {
                    return found;
                }
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        StopListening();
        _socket.Dispose();
    }

    private Dictionary<IpAddress, BackendPath> FindNow(out bool isAsked)
    {
        isAsked = false;
        _watched.Clear();
        var found = new Dictionary<IpAddress, BackendPath>(_backends.Count);
        if (_backends.Count == 0)
        {
            return found;
        }

        _links ??= ReadLinks();
        _neighbours ??= ReadNeighbours();
        foreach (var backend in _backends)
        {
            if (!_routes.TryGetValue(backend, out var known))
            {
                _routes.Add(backend, known = FindRoute(backend));
            }

            if (known is { } route && _links.TryGetValue(route.Interface, out var link))
            {
                _watched.Add((route.Interface, route.Via));
                found[backend] = HopOf(route, link, _links, _neighbours, ref isAsked);
            }
        }

        return found;
    }

    private BackendPath HopOf(Route route, Link link, Dictionary<int, Link> links, Dictionary<(int, IpAddress), Neighbour> neighbours, ref bool isAsked)
    {
        var mtu = route.Mtu > 0 ? Math.Min(route.Mtu, link.Mtu) : link.Mtu;
        var unresolved = new BackendPath(route.Source, mtu);
        var isKnown = neighbours.TryGetValue((route.Interface, route.Via), out var neighbour);
        if (!isKnown || (neighbour.State & (Reachable | Permanent | NoArp)) == 0)
        {
            Ask(route.Interface, route.Via);
        }

        if (link.Mac is not { } own || !isKnown || neighbour.Mac is not { } mac || (neighbour.State & (Reachable | Stale | Delay | Probe | Permanent)) == 0)
        {
            isAsked |= link.Mac is not null && (!isKnown || (neighbour.State & Incomplete) != 0);
            return unresolved;
        }

        // Programs run at the device below a VLAN, where frames have their tag.
        return link.VlanId == 0 ? unresolved with { Interface = route.Interface, Source = own, Destination = mac }
            : links.ContainsKey(link.Parent) ? unresolved with { Interface = link.Parent, Source = own, Destination = mac, VlanId = link.VlanId }
            : unresolved;
    }

    /// <summary>Starts with <c>rtmsg</c>: family 1, destination length 1, source length 1, service 1, table 1, protocol 1, scope 1, type 1, flags 4.</summary>
    private Route? FindRoute(IpAddress destination)
    {
        var bytes = destination.ToIPAddress().GetAddressBytes();
        var request = new NetlinkMessage(NetlinkMessage.GetRoute, 0)
            .Add(FamilyOf(destination) | ((uint)bytes.Length * 8 << 8)).Add(0).Add(0).Attribute(RouteDestination, bytes);
        Route? route = null;
        var (status, _) = _socket.Send(request, payload =>
        {
            if (payload.Length < 12 || payload[7] != Unicast)
            {
                return;
            }

            var attributes = payload[12..];
            var via = NetlinkMessage.Find(attributes, RouteGateway);
            if (NetlinkMessage.Find(attributes, RouteVia) is { Length: > 2 } other)
            {
                // rtvia: family 2, then the address.
                via = other[2..];
            }

            var source = NetlinkMessage.Find(attributes, RouteSource);
            if (source.Length is 4 or 16)
            {
                route = new Route(
                    (int)NetlinkMessage.FindNumber(attributes, RouteInterface), via.Length is 4 or 16 ? IpAddress.FromBytes(via) : destination,
                    IpAddress.FromBytes(source), (int)NetlinkMessage.FindNumber(NetlinkMessage.Find(attributes, RouteMetrics), MetricMtu));
            }
        });
        return status == 0 ? route : null;
    }

    private Dictionary<int, Link> ReadLinks()
    {
        var links = new Dictionary<int, Link>();
        _socket.Send(new NetlinkMessage(NetlinkMessage.GetLink, NetlinkMessage.Dump).AddLinkHeader(0), payload =>
        {
            var attributes = payload[16..];
            var info = NetlinkMessage.Find(attributes, LinkInfo);
            var isVlan = Encoding.UTF8.GetString(NetlinkMessage.Find(info, InfoKind)).TrimEnd('\0') == "vlan";
            var id = isVlan && NetlinkMessage.Find(NetlinkMessage.Find(info, InfoData), VlanIdentifier) is { Length: >= 2 } bytes
                ? BinaryPrimitives.ReadUInt16LittleEndian(bytes) : (ushort)0;
            links[BinaryPrimitives.ReadInt32LittleEndian(payload[4..])] = new Link(
                MacOf(NetlinkMessage.Find(attributes, LinkAddress)), (int)NetlinkMessage.FindNumber(attributes, LinkMtu),
                isVlan ? (int)NetlinkMessage.FindNumber(attributes, LinkParent) : 0, id);
        });
        return links;
    }

    private Dictionary<(int, IpAddress), Neighbour> ReadNeighbours()
    {
        var neighbours = new Dictionary<(int, IpAddress), Neighbour>();
        _socket.Send(new NetlinkMessage(NetlinkMessage.GetNeighbour, NetlinkMessage.Dump).Add(0).Add(0).Add(0), payload =>
        {
            if (TryReadNeighbour(payload, out var key, out var neighbour))
            {
                neighbours[key] = neighbour;
            }
        });
        return neighbours;
    }

    /// <summary>Starts with <c>ndmsg</c>: family 1, padding 3, interface 4, state 2, flags 1, type 1.</summary>
    private static bool TryReadNeighbour(ReadOnlySpan<byte> payload, out (int, IpAddress) key, out Neighbour neighbour)
    {
        if (payload.Length >= 12 && NetlinkMessage.Find(payload[12..], NeighbourAddress) is { Length: 4 or 16 } address)
        {
            key = (BinaryPrimitives.ReadInt32LittleEndian(payload[4..]), IpAddress.FromBytes(address));
            neighbour = new Neighbour(MacOf(NetlinkMessage.Find(payload[12..], NeighbourMac)), BinaryPrimitives.ReadUInt16LittleEndian(payload[8..]));
            return true;
        }

        (key, neighbour) = (default, default);
        return false;
    }

    // As if a packet had been sent to it: the kernel asks for its address, or whether it still has it. What comes of it shows at the next call.
    private void Ask(int interfaceIndex, IpAddress address) => _socket.Send(new NetlinkMessage(NetlinkMessage.NewNeighbour, NetlinkMessage.Create)
        .Add(FamilyOf(address)).Add((uint)interfaceIndex).Add((uint)UseFlag << 16).Attribute(NeighbourAddress, address.ToIPAddress().GetAddressBytes()));

    private static uint FamilyOf(IpAddress address) => address.IsIPv4 ? 2u : 10u;

    private static MacAddress? MacOf(ReadOnlySpan<byte> bytes) => bytes.Length == MacAddress.Size ? new MacAddress(bytes) : null;

    private readonly record struct Route(int Interface, IpAddress Via, IpAddress Source, int Mtu);

    private readonly record struct Link(MacAddress? Mac, int Mtu, int Parent, ushort VlanId);

    private readonly record struct Neighbour(MacAddress? Mac, ushort State);
}
