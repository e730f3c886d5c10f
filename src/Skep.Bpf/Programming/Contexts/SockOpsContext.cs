namespace Skep.Bpf.Programming;

/// <summary>
/// An event or question of a TCP connection (<c>struct bpf_sock_ops</c>, net/core/filter.c <c>sock_ops_convert_ctx_access</c>).
/// In the kernel this is the context pointer; in the process its fields are plain memory.
/// </summary>
[KernelContext("bpf_sock_ops")]
public unsafe struct SockOpsContext
{
    private FourWords _arguments;
    private FourWords _remoteIp6;
    private FourWords _localIp6;

    /// <summary>What happened or is asked (<c>BPF_SOCK_OPS_*</c>), see <see cref="SockOperation"/>.</summary>
    public uint Operation { [ContextField(0, 4)] get; init; }

    /// <summary>Arguments of the operation. Word <paramref name="index"/> of four; the index is a constant.</summary>
    [ContextField(4, 4)]
    public readonly uint Arguments(uint index) => _arguments[(int)index];

    /// <summary>In the process: sets a word of <see cref="Arguments"/> that the kernel fills.</summary>
    public void FillArguments(uint index, uint value) => _arguments[(int)index] = value;

    /// <summary>The answer, in the place of argument 0.</summary>
    public uint Reply { [ContextField(4, 4)] get; [ContextField(4, 4)] set; }

    /// <summary>Address family: 2 IPv4, 10 IPv6.</summary>
    public uint Family { [ContextField(20, 4)] get; init; }

    /// <summary>Remote IPv4 address, network byte order.</summary>
    public uint RemoteIp4 { [ContextField(24, 4)] get; init; }

    /// <summary>Local IPv4 address, network byte order.</summary>
    public uint LocalIp4 { [ContextField(28, 4)] get; init; }

    /// <summary>Remote IPv6 address, network byte order. Word <paramref name="index"/> of four; the index is a constant.</summary>
    [ContextField(32, 4)]
    public readonly uint RemoteIp6(uint index) => _remoteIp6[(int)index];

    /// <summary>In the process: sets a word of <see cref="RemoteIp6"/> that the kernel fills.</summary>
    public void FillRemoteIp6(uint index, uint value) => _remoteIp6[(int)index] = value;

    /// <summary>Local IPv6 address, network byte order. Word <paramref name="index"/> of four; the index is a constant.</summary>
    [ContextField(48, 4)]
    public readonly uint LocalIp6(uint index) => _localIp6[(int)index];

    /// <summary>In the process: sets a word of <see cref="LocalIp6"/> that the kernel fills.</summary>
    public void FillLocalIp6(uint index, uint value) => _localIp6[(int)index] = value;

    /// <summary>Remote port, network byte order in the upper 16 bits.</summary>
    public uint RemotePort { [ContextField(64, 4)] get; init; }

    /// <summary>Local port, host byte order.</summary>
    public uint LocalPort { [ContextField(68, 4)] get; init; }

    /// <summary>1 when the connection has a full socket, so that the fields of TCP below mean something.</summary>
    public uint IsFullSocket { [ContextField(72, 4)] get; init; }

    /// <summary>Congestion window in segments.</summary>
    public uint CongestionWindow { [ContextField(76, 4)] get; init; }

    /// <summary>Smoothed round-trip time in eighths of a microsecond.</summary>
    public uint SmoothedRoundTrip { [ContextField(80, 4)] get; init; }

    /// <summary>Which callbacks are on (<c>BPF_SOCK_OPS_*_CB_FLAG</c>).</summary>
    public uint CallbackFlags { [ContextField(84, 4)] get; init; }

    /// <summary>State of TCP, see <see cref="SocketContext.State"/>.</summary>
    public uint State { [ContextField(88, 4)] get; init; }

    /// <summary>Least round-trip time in microseconds.</summary>
    public uint MinimumRoundTrip { [ContextField(92, 4)] get; init; }

    /// <summary>Slow-start threshold in segments.</summary>
    public uint SlowStartThreshold { [ContextField(96, 4)] get; init; }

    /// <summary>Next sequence number expected.</summary>
    public uint ReceiveNext { [ContextField(100, 4)] get; init; }

    /// <summary>Next sequence number to send.</summary>
    public uint SendNext { [ContextField(104, 4)] get; init; }

    /// <summary>First sequence number that is not acknowledged.</summary>
    public uint SendUnacknowledged { [ContextField(108, 4)] get; init; }

    /// <summary>Segment size in bytes.</summary>
    public uint Mss { [ContextField(112, 4)] get; init; }

    /// <summary>Flags of ECN.</summary>
    public uint EcnFlags { [ContextField(116, 4)] get; init; }

    /// <summary>Rate sample: segments delivered.</summary>
    public uint DeliveredSegments { [ContextField(120, 4)] get; init; }

    /// <summary>Rate sample: microseconds it took.</summary>
    public uint DeliveryInterval { [ContextField(124, 4)] get; init; }

    /// <summary>Segments in flight.</summary>
    public uint PacketsOut { [ContextField(128, 4)] get; init; }

    /// <summary>Retransmitted segments in flight.</summary>
    public uint RetransmittedOut { [ContextField(132, 4)] get; init; }

    /// <summary>Segments retransmitted since the start.</summary>
    public uint TotalRetransmits { [ContextField(136, 4)] get; init; }

    /// <summary>Segments received.</summary>
    public uint SegmentsIn { [ContextField(140, 4)] get; init; }

    /// <summary>Segments with data received.</summary>
    public uint DataSegmentsIn { [ContextField(144, 4)] get; init; }

    /// <summary>Segments sent.</summary>
    public uint SegmentsOut { [ContextField(148, 4)] get; init; }

    /// <summary>Segments with data sent.</summary>
    public uint DataSegmentsOut { [ContextField(152, 4)] get; init; }

    /// <summary>Segments thought lost.</summary>
    public uint LostOut { [ContextField(156, 4)] get; init; }

    /// <summary>Segments acknowledged selectively.</summary>
    public uint SackedOut { [ContextField(160, 4)] get; init; }

    /// <summary>Hash of the flow; a write makes the kernel choose another path.</summary>
    public uint TxHash { [ContextField(164, 4)] get; [ContextField(164, 4)] set; }

    /// <summary>Bytes received.</summary>
    public ulong BytesReceived { [ContextField(168, 8)] get; init; }

    /// <summary>Bytes acknowledged.</summary>
    public ulong BytesAcknowledged { [ContextField(176, 8)] get; init; }

    /// <summary>The socket, null when there is no full one (kernel 5.10).</summary>
    public SocketContext* Socket { [ContextField(184, 8)] get; init; }

    /// <summary>Turns callbacks on, see <see cref="SockCallbacks"/> (<c>bpf_sock_ops_cb_flags_set</c>).</summary>
    /// <returns>0, or the flags that the kernel does not know, or a negative errno.</returns>
    [KernelHelper(59)]
    public readonly int SetCallbacks(SockCallbacks callbacks) => 0;

    /// <summary>Sets an option of the socket (<c>bpf_setsockopt</c>).</summary>
    /// <param name="level">Level, for example 6 for TCP.</param>
    /// <param name="option">Number of the option.</param>
    /// <param name="value">The value.</param>
    /// <param name="length">Bytes of the value.</param>
    /// <returns>0, or a negative errno.</returns>
    [KernelHelper(49)]
    public readonly int SetSocketOption(int level, int option, void* value, int length) => throw KernelEnvironment.NotInTwin("bpf_setsockopt");

    /// <summary>Reads an option of the socket (<c>bpf_getsockopt</c>).</summary>
    /// <param name="level">Level, for example 6 for TCP.</param>
    /// <param name="option">Number of the option.</param>
    /// <param name="value">Where to write.</param>
    /// <param name="length">Bytes there.</param>
    /// <returns>0, or a negative errno.</returns>
    [KernelHelper(57)]
    public readonly int GetSocketOption(int level, int option, void* value, int length) => throw KernelEnvironment.NotInTwin("bpf_getsockopt");

    /// <summary>Cookie of the socket (<c>bpf_get_socket_cookie</c>).</summary>
    [KernelHelper(46)]
    public readonly ulong GetSocketCookie() => (ulong)Socket;
}
