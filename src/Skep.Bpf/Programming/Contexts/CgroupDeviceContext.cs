namespace Skep.Bpf.Programming;

/// <summary>
/// An access to a device file (<c>struct bpf_cgroup_dev_ctx</c>).
/// In the kernel this is the context pointer; in the process its fields are plain memory.
/// </summary>
[KernelContext("bpf_cgroup_dev_ctx")]
public struct CgroupDeviceContext
{
    /// <summary>What is asked in the upper 16 bits (1 mknod, 2 read, 4 write), the kind of device in the lower (1 block, 2 character).</summary>
    public uint AccessType { [ContextField(0, 4)] get; init; }

    /// <summary>Major number of the device.</summary>
    public uint Major { [ContextField(4, 4)] get; init; }

    /// <summary>Minor number of the device.</summary>
    public uint Minor { [ContextField(8, 4)] get; init; }
}
