namespace Skep.Bpf.Programming;

/// <summary>
/// A read or write of a file of /proc/sys (<c>struct bpf_sysctl</c>).
/// In the kernel this is the context pointer; in the process its fields are plain memory.
/// </summary>
[KernelContext("bpf_sysctl")]
public unsafe struct CgroupSysctlContext
{
    /// <summary>1 for a write, 0 for a read.</summary>
    public uint Write { [ContextField(0, 4)] get; init; }

    /// <summary>Position in the file.</summary>
    public uint FilePosition { [ContextField(4, 4)] get; [ContextField(4, 4)] set; }

    /// <summary>Writes the name, NUL-terminated, for example <c>net/ipv4/ip_forward</c> (<c>bpf_sysctl_get_name</c>).</summary>
    /// <param name="buffer">Where to write.</param>
    /// <param name="size">Bytes there.</param>
    /// <param name="flags">1 for the last part of the name alone.</param>
    /// <returns>Length of the name, or a negative errno: E2BIG when it was cut.</returns>
    [KernelHelper(101)]
    public readonly int GetName(byte* buffer, ulong size, ulong flags) => throw KernelEnvironment.NotInTwin("bpf_sysctl_get_name");

    /// <summary>Writes the value there is, NUL-terminated (<c>bpf_sysctl_get_current_value</c>).</summary>
    /// <param name="buffer">Where to write.</param>
    /// <param name="size">Bytes there.</param>
    /// <returns>Length of the value, or a negative errno.</returns>
    [KernelHelper(102)]
    public readonly int GetCurrentValue(byte* buffer, ulong size) => throw KernelEnvironment.NotInTwin("bpf_sysctl_get_current_value");

    /// <summary>Writes the value that the process writes, NUL-terminated (<c>bpf_sysctl_get_new_value</c>).</summary>
    /// <param name="buffer">Where to write.</param>
    /// <param name="size">Bytes there.</param>
    /// <returns>Length of the value, or a negative errno: EINVAL on a read.</returns>
    [KernelHelper(103)]
    public readonly int GetNewValue(byte* buffer, ulong size) => throw KernelEnvironment.NotInTwin("bpf_sysctl_get_new_value");

    /// <summary>Replaces the value that the process writes (<c>bpf_sysctl_set_new_value</c>).</summary>
    /// <param name="buffer">The value as text.</param>
    /// <param name="size">Its length.</param>
    /// <returns>0, or a negative errno: EINVAL on a read.</returns>
    [KernelHelper(104)]
    public readonly int SetNewValue(byte* buffer, ulong size) => throw KernelEnvironment.NotInTwin("bpf_sysctl_set_new_value");
}
