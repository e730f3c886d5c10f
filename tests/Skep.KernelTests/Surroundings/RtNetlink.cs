using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Skep.Bpf.Kernel;

namespace Skep.KernelTests.Surroundings;

/// <summary>The few rtnetlink requests that tests need, in the namespace of the calling thread.</summary>
internal static partial class RtNetlink
{
    private const uint Up = 1;

    // linux/if_link.h and linux/if_addr.h
    private const ushort NameAttribute = 3, LinkInfo = 18, InfoKind = 1, InfoData = 2, VethPeer = 1, NamespaceDescriptor = 28;
    private const ushort LocalAddress = 2, Address = 1;
    private const uint NoDuplicateDetection = 0x02;

    /// <summary>Adds a veth pair; the peer goes to the namespace behind the descriptor.</summary>
    public static void AddVeth(string name, string peerName, int peerNamespace)
    {
        using var socket = new NetlinkSocket();
        socket.Require(
            new NetlinkMessage(NetlinkMessage.NewLink, NetlinkMessage.Create | NetlinkMessage.Exclusive)
                .AddLinkHeader(0)
                .Attribute(NameAttribute, name)
                .Nest(LinkInfo, info => info
                    .Attribute(InfoKind, "veth")
                    .Nest(InfoData, data => data.Nest(VethPeer, peer => peer
                        .AddLinkHeader(0)
                        .Attribute(NameAttribute, peerName)
                        .Attribute(NamespaceDescriptor, (uint)peerNamespace)))),
            $"Adding the veth pair {name} and {peerName} failed");
    }

    public static void SetUp(int index)
    {
        using var socket = new NetlinkSocket();
        socket.Require(new NetlinkMessage(NetlinkMessage.NewLink, 0).AddLinkHeader(index, Up, Up), $"Setting interface {index} up failed");
    }

    public static void SetDown(int index)
    {
        using var socket = new NetlinkSocket();
        socket.Require(new NetlinkMessage(NetlinkMessage.NewLink, 0).AddLinkHeader(index, 0, Up), $"Setting interface {index} down failed");
    }

    public static void SetMtu(int index, int bytes)
    {
        const ushort mtu = 4;
        using var socket = new NetlinkSocket();
        socket.Require(new NetlinkMessage(NetlinkMessage.NewLink, 0).AddLinkHeader(index).Attribute(mtu, (uint)bytes), $"Setting the MTU of interface {index} failed");
    }

    public static void AddAddress(int index, IPAddress address, int prefixLength)
    {
        using var socket = new NetlinkSocket();
        var family = address.AddressFamily == AddressFamily.InterNetwork ? 2u : 10u;

        // ifaddrmsg: family:1 prefix length:1 flags:1 scope:1 index:4
        var message = new NetlinkMessage(NetlinkMessage.NewAddress, NetlinkMessage.Create | NetlinkMessage.Exclusive)
            .Add(family | ((uint)prefixLength << 8) | (NoDuplicateDetection << 16))
            .Add((uint)index)
            .Attribute(LocalAddress, address.GetAddressBytes())
            .Attribute(Address, address.GetAddressBytes());
        socket.Require(message, $"Adding {address} to interface {index} failed");
    }

    /// <summary>Adds a route by a gateway; prefix length 0 is the default route.</summary>
    public static void AddRoute(IPAddress prefix, int prefixLength, IPAddress gateway)
    {
        const uint mainTable = 254, isStatic = 4, unicast = 1;
        using var socket = new NetlinkSocket();
        var family = prefix.AddressFamily == AddressFamily.InterNetwork ? 2u : 10u;

        // rtmsg: family:1 destination length:1 source length:1 tos:1 table:1 protocol:1 scope:1 type:1 flags:4; then RTA_DST and RTA_GATEWAY
        var message = new NetlinkMessage(NetlinkMessage.NewRoute, NetlinkMessage.Create | NetlinkMessage.Exclusive)
            .Add(family | ((uint)prefixLength << 8))
            .Add(mainTable | (isStatic << 8) | (unicast << 24))
            .Add(0)
            .Attribute(1, prefix.GetAddressBytes())
            .Attribute(5, gateway.GetAddressBytes());
        socket.Require(message, $"Adding the route {prefix}/{prefixLength} by {gateway} failed");
    }

    /// <summary>Says once and for all which hardware address an address has.</summary>
    public static void AddNeighbour(int index, IPAddress address, PhysicalAddress hardware)
    {
        const ushort permanent = 0x80;
        using var socket = new NetlinkSocket();
        var family = address.AddressFamily == AddressFamily.InterNetwork ? 2u : 10u;

        // ndmsg: family:1 padding:3 index:4 state:2 flags:1 type:1; then NDA_DST and NDA_LLADDR
        var message = new NetlinkMessage(NetlinkMessage.NewNeighbour, NetlinkMessage.Create | NetlinkMessage.Replace)
            .Add(family)
            .Add((uint)index)
            .Add(permanent)
            .Attribute(1, address.GetAddressBytes())
            .Attribute(2, hardware.GetAddressBytes());
        socket.Require(message, $"Adding the neighbour {address} to interface {index} failed");
    }

    public static int IndexOf(string name) => (int)if_nametoindex(name) is > 0 and var index
        ? index
        : throw new InvalidOperationException($"There is no interface {name} in this namespace.");

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial uint if_nametoindex(string name);
}
