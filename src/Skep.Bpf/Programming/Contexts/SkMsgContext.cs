namespace Skep.Bpf.Programming;

/// <summary>
/// A message that a process sends on a socket of a socket map (<c>struct sk_msg_md</c>).
/// In the kernel this is the context pointer; in the process its fields are plain memory.
/// </summary>
[KernelContext("sk_msg_md")]
public unsafe struct SkMsgContext
{
    private FourWords _remoteIp6;
    private FourWords _localIp6;

    /// <summary>First byte that can be read directly; more after <see cref="PullData"/>.</summary>
    public byte* Data { [ContextField(0, 8, ContextValue.Packet)] get; init; }

    /// <summary>One past the last of them.</summary>
    public byte* DataEnd { [ContextField(8, 8, ContextValue.PacketEnd)] get; init; }

    /// <summary>Address family: 2 IPv4, 10 IPv6.</summary>
    public uint Family { [ContextField(16, 4)] get; init; }

    /// <summary>Remote IPv4 address, network byte order.</summary>
    public uint RemoteIp4 { [ContextField(20, 4)] get; init; }

    /// <summary>Local IPv4 address, network byte order.</summary>
    public uint LocalIp4 { [ContextField(24, 4)] get; init; }

    /// <summary>Remote IPv6 address, network byte order. Word <paramref name="index"/> of four; the index is a constant.</summary>
    [ContextField(28, 4)]
    public readonly uint RemoteIp6(uint index) => _remoteIp6[(int)index];

    /// <summary>In the process: sets a word of <see cref="RemoteIp6"/> that the kernel fills.</summary>
    public void FillRemoteIp6(uint index, uint value) => _remoteIp6[(int)index] = value;

    /// <summary>Local IPv6 address, network byte order. Word <paramref name="index"/> of four; the index is a constant.</summary>
    [ContextField(44, 4)]
    public readonly uint LocalIp6(uint index) => _localIp6[(int)index];

    /// <summary>In the process: sets a word of <see cref="LocalIp6"/> that the kernel fills.</summary>
    public void FillLocalIp6(uint index, uint value) => _localIp6[(int)index] = value;

    /// <summary>Remote port, network byte order in the upper 16 bits.</summary>
    public uint RemotePort { [ContextField(60, 4)] get; init; }

    /// <summary>Local port, host byte order.</summary>
    public uint LocalPort { [ContextField(64, 4)] get; init; }

    /// <summary>Bytes of the message.</summary>
    public uint Size { [ContextField(68, 4)] get; init; }

    /// <summary>The socket; never null here (kernel 5.8).</summary>
    public SocketContext* Socket { [ContextField(72, 8)] get; init; }

    /// <summary>The verdict holds for this many bytes, also of later messages (<c>bpf_msg_apply_bytes</c>).</summary>
    /// <returns>0.</returns>
    [KernelHelper(61)]
    public readonly int ApplyBytes(uint bytes) => 0;

    /// <summary>Runs the program again only when this many bytes have come together (<c>bpf_msg_cork_bytes</c>).</summary>
    /// <returns>0.</returns>
    [KernelHelper(62)]
    public readonly int CorkBytes(uint bytes) => 0;

    /// <summary>Makes bytes of the message directly readable and writable (<c>bpf_msg_pull_data</c>). Pointers read before are dead afterwards.</summary>
    /// <param name="start">First byte.</param>
    /// <param name="end">One past the last.</param>
    /// <param name="flags">0.</param>
    /// <returns>0, or a negative errno.</returns>
    [KernelHelper(63, ClobbersPacket = true)]
    public readonly int PullData(uint start, uint end, ulong flags) => start < end && end <= Size ? 0 : -22;
}
