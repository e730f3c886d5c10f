using System.Buffers.Binary;
using System.Text;
using Skep.Bpf.Kernel;

namespace Skep.Bpf.Links;

/// <summary>A network interface, as the kernel lists it (<c>RTM_GETLINK</c>).</summary>
/// <param name="Index">Its number; never used again by another one.</param>
/// <param name="Name">Its name.</param>
/// <param name="Kind">Kind of a virtual device, for example <c>veth</c>, <c>bridge</c>, <c>tun</c> or <c>vlan</c>; empty for a physical one and for loopback.</param>
/// <param name="IsLoopback">Whether it carries the host's own traffic only.</param>
/// <param name="HasEthernetHeader">Whether its packets begin with an Ethernet header; without, they begin at the IP header.</param>
/// <param name="Mtu">Longest packet in bytes without link header.</param>
/// <param name="LeadsElsewhere">Whether the other end of it, as of a <c>veth</c>, is in another network namespace.</param>
public readonly record struct NetworkDevice(int Index, string Name, string Kind, bool IsLoopback, bool HasEthernetHeader, int Mtu, bool LeadsElsewhere = false)
{
    // linux/if_link.h, linux/if.h, linux/if_arp.h
    private const ushort NameAttribute = 3, MtuAttribute = 4, LinkInfo = 18, InfoKind = 1, LinkNamespace = 37, Ethernet = 1, LoopbackType = 772;
    private const uint LoopbackFlag = 8;

    /// <summary>The interfaces of the calling thread's network namespace, ordered by index.</summary>
    /// <exception cref="BpfException">The kernel refused to list them.</exception>
    public static IReadOnlyList<NetworkDevice> List()
    {
        var found = new List<NetworkDevice>();
        using var socket = new NetlinkSocket();
        var (status, words) = socket.Send(new NetlinkMessage(NetlinkMessage.GetLink, NetlinkMessage.Dump).AddLinkHeader(0), payload => found.Add(Read(payload)));
        BpfException.ThrowIfFailed(status, words.Length > 0 ? $"Listing the interfaces failed ({words})" : "Listing the interfaces failed");
        found.Sort((a, b) => a.Index.CompareTo(b.Index));
        return found;
    }

    // ifinfomsg: 0 family:1   2 type:2   4 index:4   8 flags:4   12 change:4, then attributes
    private static NetworkDevice Read(ReadOnlySpan<byte> payload)
    {
        var type = BinaryPrimitives.ReadUInt16LittleEndian(payload[2..]);
        var attributes = payload[16..];
        return new NetworkDevice(
            BinaryPrimitives.ReadInt32LittleEndian(payload[4..]),
            Text(NetlinkMessage.Find(attributes, NameAttribute)),
            Text(NetlinkMessage.Find(NetlinkMessage.Find(attributes, LinkInfo), InfoKind)),
            (BinaryPrimitives.ReadUInt32LittleEndian(payload[8..]) & LoopbackFlag) != 0,
            type is Ethernet or LoopbackType,
            (int)NetlinkMessage.FindNumber(attributes, MtuAttribute),
            !NetlinkMessage.Find(attributes, LinkNamespace).IsEmpty);
    }

    private static string Text(ReadOnlySpan<byte> payload) => Encoding.UTF8.GetString(payload).TrimEnd('\0');
}
