namespace Skep.Bpf.Programming;

/// <summary>
/// A call of setsockopt or getsockopt (<c>struct bpf_sockopt</c>, kernel/bpf/cgroup.c <c>cg_sockopt_is_valid_access</c>).
/// In the kernel this is the context pointer; in the process its fields are plain memory.
/// </summary>
[KernelContext("bpf_sockopt")]
public unsafe struct CgroupSockoptContext
{
    /// <summary>The socket; never null here.</summary>
    public SocketContext* Socket { [ContextField(0, 8)] get; init; }

    /// <summary>First byte of the value, which may be read and written.</summary>
    public byte* OptionValue { [ContextField(8, 8, ContextValue.Packet)] get; init; }

    /// <summary>One past its last byte; at most a page of a longer value.</summary>
    public byte* OptionValueEnd { [ContextField(16, 8, ContextValue.PacketEnd)] get; init; }

    /// <summary>Level; setsockopt may change it.</summary>
    public int Level { [ContextField(24, 4)] get; [ContextField(24, 4)] set; }

    /// <summary>Number of the option; setsockopt may change it.</summary>
    public int OptionName { [ContextField(28, 4)] get; [ContextField(28, 4)] set; }

    /// <summary>Bytes of the value; -1 keeps a setsockopt from the kernel, 0 leaves the value as the process or the kernel gave it.</summary>
    public int OptionLength { [ContextField(32, 4)] get; [ContextField(32, 4)] set; }

    /// <summary>getsockopt only: what the call returns; may be set to 0.</summary>
    public int ReturnValue { [ContextField(36, 4)] get; [ContextField(36, 4)] set; }
}
