using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Skep.Bpf;
using Skep.Bpf.Kernel;
using Skep.Engine;
using Skep.Packets;

namespace Skep.Balancing.Health;

/// <summary>The cable between this host and the namespace of the checks, and the addresses in there, by rtnetlink.</summary>
public sealed partial class CheckNetwork
{
    // linux/if_link.h, linux/veth.h, linux/if_addr.h, linux/rtnetlink.h, linux/if.h
    private const ushort LinkAddress = 1, LinkName = 3, LinkMtu = 4, LinkInfo = 18, LinkNamespace = 28, InfoKind = 1, InfoData = 2, VethPeer = 1;
    private const ushort AddressLocal = 2, AddressFlags = 8;
    private const ushort RouteInterface = 4;
    private const uint Up = 1, NoArp = 0x80, NoDuplicateDetection = 2;
    private const uint MainTable = 254, BootProtocol = 3, LinkScope = 253, Unicast = 1;

    private int _innerIndex;

    /// <summary>Lays the cable; gives the index of its end on this host and the Ethernet address of the other.</summary>
    private (int Outer, MacAddress Inner) Lay(string name)
    {
        using var host = new NetlinkSocket();
        var space = (uint)_space.Handle.DangerousGetHandle();
        host.Require(new NetlinkMessage(NetlinkMessage.NewLink, NetlinkMessage.Create | NetlinkMessage.Exclusive)
            .AddLinkHeader(0)
            .Attribute(LinkName, name)
            .Attribute(LinkMtu, Mtu)
            .Nest(LinkInfo, info => info.Attribute(InfoKind, "veth").Nest(InfoData, data => data.Nest(VethPeer, peer => peer
                .AddLinkHeader(0)
                .Attribute(LinkName, InnerDevice)
                .Attribute(LinkMtu, Mtu)
                .Attribute(LinkNamespace, space)))), $"Making the cable '{name}' to the network namespace of health checks");
        var (outer, _) = Find(host, name);
        var (inner, mac) = Find(_inner, InnerDevice);

        // Outer headers would cover a partial checksum.
        _space.Run(() =>
        {
            DeviceOffload.Set(InnerDevice, DeviceOffload.TransmitChecksum, on: false);
            return true;
        });
        Start(host, outer, Up);
        Start(_inner, inner, Up | NoArp);
        foreach (var family in new[] { AddressFamily.InterNetwork, AddressFamily.InterNetworkV6 })
        {
            // rtmsg: family 1, destination length 1, source length 1, service 1, table 1, protocol 1, scope 1, type 1, flags 4.
            _inner.Require(new NetlinkMessage(NetlinkMessage.NewRoute, NetlinkMessage.Create)
                .Add(FamilyOf(family)).Add(MainTable | (BootProtocol << 8) | (LinkScope << 16) | (Unicast << 24)).Add(0)
                .Attribute(RouteInterface, (uint)inner), "Adding a route for health checks");
        }

        _innerIndex = inner;
        return (outer, mac);
    }

    private void AddSource(IPAddress source)
    {
        var bytes = source.GetAddressBytes();
        // ifaddrmsg: family 1, prefix length 1, flags 1, scope 1, index 4.
        _inner.Require(new NetlinkMessage(NetlinkMessage.NewAddress, NetlinkMessage.Create)
            .Add(FamilyOf(source.AddressFamily) | ((uint)bytes.Length * 8 << 8)).Add((uint)_innerIndex)
            .Attribute(AddressLocal, bytes)
            .Attribute(AddressFlags, NoDuplicateDetection), $"Giving health checks the source {source}");
    }

    private static void Start(NetlinkSocket socket, int index, uint flags) => socket.Require(
        new NetlinkMessage(NetlinkMessage.NewLink, 0).AddLinkHeader(index, flags, flags), "Bringing up the cable of health checks");

    private static (int Index, MacAddress Mac) Find(NetlinkSocket socket, string name)
    {
        (int, MacAddress) found = default;
        var (status, _) = socket.Send(new NetlinkMessage(NetlinkMessage.GetLink, 0).AddLinkHeader(0).Attribute(LinkName, name), payload =>
        {
            if (payload.Length >= 16)
            {
                found = (BinaryPrimitives.ReadInt32LittleEndian(payload[4..]), new MacAddress(NetlinkMessage.Find(payload[16..], LinkAddress)));
            }
        });
        BpfException.ThrowIfFailed(status, $"Looking for the interface '{name}'");
        return found;
    }

    private static uint FamilyOf(AddressFamily family) => family == AddressFamily.InterNetwork ? 2u : 10u;
}
