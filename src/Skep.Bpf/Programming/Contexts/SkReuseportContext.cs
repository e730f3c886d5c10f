namespace Skep.Bpf.Programming;

/// <summary>
/// A packet for one of the sockets that share a port (<c>struct sk_reuseport_md</c>).
/// In the kernel this is the context pointer; in the process its fields are plain memory.
/// </summary>
[KernelContext("sk_reuseport_md")]
public unsafe struct SkReuseportContext
{
    /// <summary>First byte of the transport header.</summary>
    public byte* Data { [ContextField(0, 8, ContextValue.Packet)] get; init; }

    /// <summary>One past the last byte that can be read directly.</summary>
    public byte* DataEnd { [ContextField(8, 8, ContextValue.PacketEnd)] get; init; }

    /// <summary>Bytes of the packet from the transport header on.</summary>
    public uint Length { [ContextField(16, 4)] get; init; }

    /// <summary>EtherType, network byte order.</summary>
    public uint EtherType { [ContextField(20, 4)] get; init; }

    /// <summary>Protocol: 6 TCP, 17 UDP.</summary>
    public uint Protocol { [ContextField(24, 4)] get; init; }

    /// <summary>1 when the sockets are bound to any address.</summary>
    public uint BindAny { [ContextField(28, 4)] get; init; }

    /// <summary>Hash of addresses and ports.</summary>
    public uint Hash { [ContextField(32, 4)] get; init; }

    /// <summary>One of the sockets; never null (kernel 5.14).</summary>
    public SocketContext* Socket { [ContextField(40, 8)] get; init; }

    /// <summary>The socket whose listener closed, or null (kernel 5.14).</summary>
    public SocketContext* MigratingSocket { [ContextField(48, 8)] get; init; }
}
