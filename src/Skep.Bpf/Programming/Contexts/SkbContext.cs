using Skep.Bpf.Programs;

namespace Skep.Bpf.Programming;

/// <summary>
/// A packet as socket filters, cgroup skb, sk_skb and LWT programs see it (<c>struct __sk_buff</c>; each kind has its own <c>*_is_valid_access</c> in net/core/filter.c).
/// In the kernel this is the context pointer; in the process its fields are plain memory.
/// </summary>
[KernelContext("__sk_buff")]
public unsafe struct SkbContext
{
    /// <summary>Bytes of the packet.</summary>
    public uint Length { [ContextField(0, 4)] get; init; }

    /// <summary>Where it goes: 0 to this host, 1 broadcast, 2 multicast, 3 to another host, 4 out.</summary>
    public uint PacketType { [ContextField(4, 4)] get; init; }

    /// <summary>Mark of the packet.</summary>
    public uint Mark
    {
        [ContextField(8, 4)][OnlyFor(ProgramType.CgroupSkb, ProgramType.SocketFilter, ProgramType.LwtIn, ProgramType.LwtOut, ProgramType.LwtXmit, ProgramType.LwtSeg6Local)] get;
        [ContextField(8, 4)][OnlyFor(ProgramType.CgroupSkb, ProgramType.LwtIn, ProgramType.LwtOut, ProgramType.LwtXmit, ProgramType.LwtSeg6Local)] set;
    }

    /// <summary>Queue of the device.</summary>
    public uint QueueMapping { [ContextField(12, 4)] get; init; }

    /// <summary>EtherType, network byte order.</summary>
    public uint Protocol { [ContextField(16, 4)] get; init; }

    /// <summary>Non-zero when a VLAN tag was taken out of the packet.</summary>
    public uint VlanPresent { [ContextField(20, 4)] get; init; }

    /// <summary>The tag.</summary>
    public uint VlanTci { [ContextField(24, 4)] get; init; }

    /// <summary>Priority of the packet.</summary>
    public uint Priority
    {
        [ContextField(32, 4)] get;
        [ContextField(32, 4)][OnlyFor(ProgramType.CgroupSkb, ProgramType.SkSkb, ProgramType.LwtIn, ProgramType.LwtOut, ProgramType.LwtXmit, ProgramType.LwtSeg6Local)] set;
    }

    /// <summary>Interface the packet came in by.</summary>
    public uint IngressInterface { [ContextField(36, 4)] get; init; }

    /// <summary>Interface the packet is on.</summary>
    public uint Interface { [ContextField(40, 4)] get; init; }

    /// <summary>Hash of the flow, 0 when it was not computed.</summary>
    public uint Hash { [ContextField(68, 4)] get; init; }

    /// <summary>First byte of the packet, at the IP header except for sk_skb, where it is the data.</summary>
    public byte* Data
    {
        [ContextField(76, 4, ContextValue.Packet)][OnlyFor(ProgramType.CgroupSkb, ProgramType.SkSkb, ProgramType.LwtIn, ProgramType.LwtOut, ProgramType.LwtXmit, ProgramType.LwtSeg6Local)] get;
        init;
    }

    /// <summary>One past the last byte that can be read directly.</summary>
    public byte* DataEnd
    {
        [ContextField(80, 4, ContextValue.PacketEnd)][OnlyFor(ProgramType.CgroupSkb, ProgramType.SkSkb, ProgramType.LwtIn, ProgramType.LwtOut, ProgramType.LwtXmit, ProgramType.LwtSeg6Local)] get;
        init;
    }

    /// <summary>Number of the receive queue for busy polling.</summary>
    public uint NapiId { [ContextField(84, 4)] get; init; }

    /// <summary>Address family of the socket.</summary>
    public uint Family { [ContextField(88, 4)][OnlyFor(ProgramType.CgroupSkb, ProgramType.SkSkb)] get; init; }

    /// <summary>Remote IPv4 address of the socket, network byte order.</summary>
    public uint RemoteIp4 { [ContextField(92, 4)][OnlyFor(ProgramType.CgroupSkb, ProgramType.SkSkb)] get; init; }

    /// <summary>Local IPv4 address of the socket, network byte order.</summary>
    public uint LocalIp4 { [ContextField(96, 4)][OnlyFor(ProgramType.CgroupSkb, ProgramType.SkSkb)] get; init; }

    /// <summary>Remote port of the socket, network byte order in the upper 16 bits.</summary>
    public uint RemotePort { [ContextField(132, 4)][OnlyFor(ProgramType.CgroupSkb, ProgramType.SkSkb)] get; init; }

    /// <summary>Local port of the socket, host byte order.</summary>
    public uint LocalPort { [ContextField(136, 4)][OnlyFor(ProgramType.CgroupSkb, ProgramType.SkSkb)] get; init; }

    /// <summary>Segments a super-packet will be cut into; 0 for a plain packet.</summary>
    public uint GsoSegments { [ContextField(164, 4)] get; init; }

    /// <summary>The socket, or null.</summary>
    public SocketContext* Socket { [ContextField(168, 8)] get; init; }

    /// <summary>Copies bytes out of the packet, wherever they lie (<c>bpf_skb_load_bytes</c>).</summary>
    /// <param name="offset">Offset from the first byte: the IP header, for socket filters the Ethernet or transport header, for sk_skb the data.</param>
    /// <param name="target">Where to write.</param>
    /// <param name="length">Bytes to copy.</param>
    /// <returns>0, or a negative errno.</returns>
    [KernelHelper(26)]
    public readonly int LoadBytes(uint offset, void* target, uint length)
    {
        if ((ulong)offset + length > (ulong)(DataEnd - Data))
        {
            new Span<byte>(target, (int)length).Clear();
            return -14;
        }

        Buffer.MemoryCopy(Data + offset, target, length, length);
        return 0;
    }

    /// <summary>Makes <paramref name="length"/> bytes directly readable (<c>bpf_skb_pull_data</c>). Pointers read before are dead afterwards.</summary>
    /// <returns>0, or a negative errno.</returns>
    [KernelHelper(39, ClobbersPacket = true)]
    [OnlyFor(ProgramType.SkSkb, ProgramType.LwtIn, ProgramType.LwtOut, ProgramType.LwtXmit, ProgramType.LwtSeg6Local)]
    public readonly int PullData(uint length) => length <= Length ? 0 : -12;

    /// <summary>Cookie of the socket, 0 when there is none (<c>bpf_get_socket_cookie</c>).</summary>
    [KernelHelper(46)]
    [OnlyFor(ProgramType.SocketFilter, ProgramType.CgroupSkb, ProgramType.SkSkb)]
    public readonly ulong GetSocketCookie() => (ulong)Socket;
}
