using System.Runtime.InteropServices;

namespace Skep.Bpf.Programming;

/// <content>Helpers that say where the packet goes, and the routing table that knows (net/core/filter.c).</content>
public unsafe partial struct TcContext
{
    /// <summary>
    /// Sends the packet out of an interface, or with <see cref="RedirectFlags.Ingress"/> as if it had come in there, when the program returns what this
    /// gives (<c>bpf_redirect</c>). Its link header is sent as it is.
    /// </summary>
    /// <returns><see cref="TcAction.Redirect"/>; <see cref="TcAction.Shot"/> for unknown flags.</returns>
    [KernelHelper(23)]
    public static int Redirect(uint interfaceIndex, RedirectFlags flags) =>
        (flags & ~RedirectFlags.Ingress) != 0 ? (int)TcAction.Shot : Go(new(flags == RedirectFlags.Ingress ? PacketTargetKind.Ingress : PacketTargetKind.Egress, interfaceIndex));

    /// <summary>
    /// Sends the packet out of an interface with the link header of the next hop, which the neighbour table supplies and the kernel resolves
    /// (<c>bpf_redirect_neigh</c>, kernel 5.10).
    /// </summary>
    /// <param name="interfaceIndex">The interface.</param>
    /// <param name="nextHop">The next hop; null to ask the routing table.</param>
    /// <param name="length">Size of the next hop; 0 with null.</param>
    /// <param name="flags">0.</param>
    /// <returns><see cref="TcAction.Redirect"/>; <see cref="TcAction.Shot"/> for unknown flags.</returns>
    [KernelHelper(152, Since = "5.10")]
    public static int RedirectNeigh(uint interfaceIndex, NextHop* nextHop, int length, ulong flags) =>
        flags != 0 || (length != 0 && length < sizeof(NextHop)) ? (int)TcAction.Shot : Go(new(PacketTargetKind.Neighbour, interfaceIndex));

    /// <summary>
    /// Hands the packet to the other end of a veth in another network namespace, as if it had come in there, without a queue between
    /// (<c>bpf_redirect_peer</c>, kernel 5.10; ingress only).
    /// </summary>
    /// <param name="interfaceIndex">This end.</param>
    /// <param name="flags">0.</param>
    /// <returns><see cref="TcAction.Redirect"/>; <see cref="TcAction.Shot"/> for unknown flags.</returns>
    [KernelHelper(155, Since = "5.10")]
    public static int RedirectPeer(uint interfaceIndex, ulong flags) =>
        flags != 0 ? (int)TcAction.Shot : Go(new(PacketTargetKind.Peer, interfaceIndex));

    /// <summary>Asks the routing table for the way of a packet (<c>bpf_fib_lookup</c>, kernel 4.18).</summary>
    /// <param name="route">The packet's addresses; afterwards interface and next hop.</param>
    /// <param name="length">Size of <paramref name="route"/>.</param>
    /// <param name="flags">How to look.</param>
    /// <returns>A <see cref="FibResult"/>, or a negative errno.</returns>
    [KernelHelper(69)]
    public readonly int FibLookup(FibRoute* route, int length, FibFlags flags) =>
        length < sizeof(FibRoute) ? -Errno.Invalid : (int)KernelEnvironment.Current.FindRoute(ref *route, flags);

    private static int Go(PacketTarget target)
    {
        KernelEnvironment.Current.Target = target;
        return (int)TcAction.Redirect;
    }
}

/// <summary>Flags of <see cref="TcContext.Redirect"/>.</summary>
[Flags]
public enum RedirectFlags : ulong
{
    /// <summary>Out of the interface.</summary>
    None = 0,
    /// <summary>As if it had come in there (<c>BPF_F_INGRESS</c>).</summary>
    Ingress = 1,
}

/// <summary>How a packet goes to the interface a helper named.</summary>
public enum PacketTargetKind : byte
{
    /// <summary>It does not.</summary>
    None,
    /// <summary>Out of it, with the link header it has.</summary>
    Egress,
    /// <summary>In by it.</summary>
    Ingress,
    /// <summary>Out of it, with the link header of the next hop.</summary>
    Neighbour,
    /// <summary>In by its other end.</summary>
    Peer,
}

/// <summary>Where a redirect helper would send the packet.</summary>
/// <param name="Kind">How.</param>
/// <param name="Interface">Index of the interface.</param>
public readonly record struct PacketTarget(PacketTargetKind Kind, uint Interface);

/// <summary>
/// A next hop (<c>struct bpf_redir_neigh</c>). Layout: family 4 (2 for IPv4, 10 for IPv6), address 16, of which IPv4 takes the first four bytes.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public struct NextHop
{
    /// <summary>Address family.</summary>
    public uint Family;

    /// <summary>The address, first word, as loaded.</summary>
    public uint Address0;

    /// <summary>Second word; IPv6 only.</summary>
    public uint Address1;

    /// <summary>Third word; IPv6 only.</summary>
    public uint Address2;

    /// <summary>Fourth word; IPv6 only.</summary>
    public uint Address3;
}

/// <summary>
/// A question to the routing table and its answer (<c>struct bpf_fib_lookup</c>), 64 bytes.
/// <code>
///  0 family:1   1 protocol:1   2 source port:2   4 destination port:2   6 total length, then MTU:2
///  8 interface the packet came in by, then the one it leaves by:4      12 type of service, then route metric:4
/// 16 source:16  32 destination, then next hop:16 (IPv4 in the first four bytes)
/// 48 VLAN or table:4   52 MAC addresses, source then destination:12, or mark:4
/// </code>
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public struct FibRoute
{
#pragma warning disable CS1591 // the layout says what each is
    public byte Family;
    public byte Protocol;
    public ushort SourcePort;
    public ushort DestinationPort;
    public ushort Length;
    public uint Interface;
    public uint TypeOfService;
    public uint Source0;
    public uint Source1;
    public uint Source2;
    public uint Source3;
    public uint Destination0;
    public uint Destination1;
    public uint Destination2;
    public uint Destination3;
    public uint Vlan;
    public uint Mac0;
    public uint Mac1;
    public uint Mac2;
#pragma warning restore CS1591
}

/// <summary>How to ask the routing table (<c>BPF_FIB_LOOKUP_*</c>).</summary>
[Flags]
public enum FibFlags : uint
{
    /// <summary>As for a packet that came in.</summary>
    None = 0,
    /// <summary>Only the table of the interface, without rules.</summary>
    Direct = 1,
    /// <summary>As for a packet that this host sends.</summary>
    Output = 2,
    /// <summary>The next hop's MAC address is not needed (kernel 6.3).</summary>
    SkipNeighbour = 4,
}

/// <summary>Answer of the routing table (<c>BPF_FIB_LKUP_RET_*</c>).</summary>
public enum FibResult
{
    /// <summary>The way is known.</summary>
    Success = 0,
    /// <summary>A route says: drop it.</summary>
    BlackHole = 1,
    /// <summary>A route says: unreachable.</summary>
    Unreachable = 2,
    /// <summary>A route says: prohibited.</summary>
    Prohibit = 3,
    /// <summary>Not forwarded: for this host, broadcast, or no route.</summary>
    NotForwarded = 4,
    /// <summary>Forwarding is off.</summary>
    ForwardingDisabled = 5,
    /// <summary>The route needs encapsulation.</summary>
    UnsupportedTunnel = 6,
    /// <summary>The next hop's MAC address is not known.</summary>
    NoNeighbour = 7,
    /// <summary>The packet is longer than the MTU.</summary>
    FragmentationNeeded = 8,
    /// <summary>No source address for this route (kernel 6.7).</summary>
    NoSourceAddress = 9,
}
