namespace Skep.Bpf.Programming;

/// <summary>
/// A search for the socket of a packet (<c>struct bpf_sk_lookup</c>).
/// In the kernel this is the context pointer; in the process its fields are plain memory.
/// </summary>
[KernelContext("bpf_sk_lookup")]
public unsafe struct SkLookupContext
{
    private FourWords _remoteIp6;
    private FourWords _localIp6;

    /// <summary>The socket that an earlier program chose, or null.</summary>
    public SocketContext* Socket { [ContextField(0, 8)] get; init; }

    /// <summary>Address family: 2 IPv4, 10 IPv6.</summary>
    public uint Family { [ContextField(8, 4)] get; init; }

    /// <summary>Protocol: 6 TCP, 17 UDP.</summary>
    public uint Protocol { [ContextField(12, 4)] get; init; }

    /// <summary>Source IPv4 address of the packet, network byte order.</summary>
    public uint RemoteIp4 { [ContextField(16, 4)] get; init; }

    /// <summary>Source IPv6 address of the packet, network byte order. Word <paramref name="index"/> of four; the index is a constant.</summary>
    [ContextField(20, 4)]
    public readonly uint RemoteIp6(uint index) => _remoteIp6[(int)index];

    /// <summary>In the process: sets a word of <see cref="RemoteIp6"/> that the kernel fills.</summary>
    public void FillRemoteIp6(uint index, uint value) => _remoteIp6[(int)index] = value;

    /// <summary>Source port of the packet, network byte order.</summary>
    public ushort RemotePort { [ContextField(36, 2)] get; init; }

    /// <summary>Destination IPv4 address of the packet, network byte order.</summary>
    public uint LocalIp4 { [ContextField(40, 4)] get; init; }

    /// <summary>Destination IPv6 address of the packet, network byte order. Word <paramref name="index"/> of four; the index is a constant.</summary>
    [ContextField(44, 4)]
    public readonly uint LocalIp6(uint index) => _localIp6[(int)index];

    /// <summary>In the process: sets a word of <see cref="LocalIp6"/> that the kernel fills.</summary>
    public void FillLocalIp6(uint index, uint value) => _localIp6[(int)index] = value;

    /// <summary>Destination port of the packet, host byte order.</summary>
    public uint LocalPort { [ContextField(60, 4)] get; init; }

    /// <summary>Interface the packet came in by (kernel 5.17).</summary>
    public uint IngressInterface { [ContextField(64, 4)] get; init; }

    /// <summary>Chooses the socket that takes the packet (<c>bpf_sk_assign</c>): listening for TCP, unconnected for UDP.</summary>
    /// <param name="socket">A socket from a socket map; null chooses none.</param>
    /// <param name="flags">1 replaces the choice of an earlier program, 2 forgoes reuseport groups.</param>
    /// <returns>0, or a negative errno: EEXIST when there is a choice, EAFNOSUPPORT or EPROTOTYPE when the socket does not fit.</returns>
    [KernelHelper(124)]
    public readonly int Assign(SocketContext* socket, ulong flags) => throw KernelEnvironment.NotInTwin("bpf_sk_assign");
}
