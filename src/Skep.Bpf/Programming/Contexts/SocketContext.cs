using Skep.Bpf.Programs;

namespace Skep.Bpf.Programming;

/// <summary>
/// A socket as programs see it (<c>struct bpf_sock</c>): the context of cgroup sock programs, and what the field Socket of others points to.
/// In the kernel this is the context pointer; in the process its fields are plain memory.
/// </summary>
[KernelContext("bpf_sock")]
public struct SocketContext
{
    private FourWords _sourceIp6;
    private FourWords _destinationIp6;

    /// <summary>Interface the socket is bound to, 0 for any; writable when the socket is created.</summary>
    public uint BoundInterface { [ContextField(0, 4)] get; [ContextField(0, 4)][OnlyFor(ProgramType.CgroupSock)] set; }

    /// <summary>Address family: 2 IPv4, 10 IPv6.</summary>
    public uint Family { [ContextField(4, 4)] get; init; }

    /// <summary>Type: 1 stream, 2 datagram, 3 raw.</summary>
    public uint Type { [ContextField(8, 4)] get; init; }

    /// <summary>Protocol: 6 TCP, 17 UDP.</summary>
    public uint Protocol { [ContextField(12, 4)] get; init; }

    /// <summary>Mark that packets of the socket carry; writable when the socket is created.</summary>
    public uint Mark { [ContextField(16, 4)] get; [ContextField(16, 4)][OnlyFor(ProgramType.CgroupSock)] set; }

    /// <summary>Priority of packets of the socket; writable when the socket is created.</summary>
    public uint Priority { [ContextField(20, 4)] get; [ContextField(20, 4)][OnlyFor(ProgramType.CgroupSock)] set; }

    /// <summary>Local IPv4 address, network byte order; cgroup sock: post_bind4 only.</summary>
    public uint SourceIp4 { [ContextField(24, 4)] get; init; }

    /// <summary>Local IPv6 address, network byte order; cgroup sock: post_bind6 only. Word <paramref name="index"/> of four; the index is a constant.</summary>
    [ContextField(28, 4)]
    public readonly uint SourceIp6(uint index) => _sourceIp6[(int)index];

    /// <summary>In the process: sets a word of <see cref="SourceIp6"/> that the kernel fills.</summary>
    public void FillSourceIp6(uint index, uint value) => _sourceIp6[(int)index] = value;

    /// <summary>Local port, host byte order; cgroup sock: post_bind only.</summary>
    public uint SourcePort { [ContextField(44, 4)] get; init; }

    /// <summary>Remote port, network byte order.</summary>
    public ushort DestinationPort { [ContextField(48, 2)] get; init; }

    /// <summary>Remote IPv4 address, network byte order.</summary>
    public uint DestinationIp4 { [ContextField(52, 4)] get; init; }

    /// <summary>Remote IPv6 address, network byte order. Word <paramref name="index"/> of four; the index is a constant.</summary>
    [ContextField(56, 4)]
    public readonly uint DestinationIp6(uint index) => _destinationIp6[(int)index];

    /// <summary>In the process: sets a word of <see cref="DestinationIp6"/> that the kernel fills.</summary>
    public void FillDestinationIp6(uint index, uint value) => _destinationIp6[(int)index] = value;

    /// <summary>State as in <c>include/net/tcp_states.h</c>: 1 established, 10 listening.</summary>
    public uint State { [ContextField(72, 4)] get; init; }

    /// <summary>Receive queue of the connection, -1 when unknown (kernel 5.8).</summary>
    public int RxQueueMapping { [ContextField(76, 4)] get; init; }
}
