using System.Runtime.InteropServices;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Maps;

/// <summary>
/// Which attachment a value belongs to (<c>struct bpf_cgroup_storage_key</c>).
/// <code>
/// 0 cgroup_inode_id:8   8 attach_type:4   12 padding:4
/// </code>
/// </summary>
/// <param name="Cgroup">Id of the cgroup: the inode number of its directory.</param>
/// <param name="AttachType">Where in the cgroup.</param>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct CgroupAttachment(ulong Cgroup, AttachType AttachType);

/// <summary>
/// A value per cgroup and attachment of the program (<c>BPF_MAP_TYPE_CGROUP_STORAGE</c>, kernel 4.19; deprecated since 6.2 in favour of
/// <see cref="CgroupStorage{T}"/>). It is made when the program is attached and goes when it is detached.
/// </summary>
public sealed unsafe class AttachedStorage<T>(string? name = null)
    : ValueMap<CgroupAttachment, T>(MapKind.CgroupStorageDeprecated, 0, MapFlags.None, name)
    where T : unmanaged
{
    /// <summary>Program side: the value of the attachment that runs, never null (<c>bpf_get_local_storage</c>).</summary>
    public ref T Value => ref Get(0);

    /// <summary>Program side: the helper itself.</summary>
    /// <param name="flags">0.</param>
    [KernelHelper(81, Since = "4.19")]
    public ref T Get(ulong flags) => ref *(T*)Storage.FindLocal(null, null, true);
}

/// <summary>As <see cref="AttachedStorage{T}"/>, with a value per CPU (<c>BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE</c>, kernel 4.20).</summary>
public sealed unsafe class PerCpuAttachedStorage<T>(string? name = null)
    : PerCpuMap<CgroupAttachment, T>(MapKind.PerCpuCgroupStorageDeprecated, 0, MapFlags.None, name)
    where T : unmanaged
{
    /// <summary>Program side: the value of the attachment that runs on this CPU, never null (<c>bpf_get_local_storage</c>).</summary>
    public ref T Value => ref Get(0);

    /// <summary>Program side: the helper itself.</summary>
    /// <param name="flags">0.</param>
    [KernelHelper(81, Since = "4.20")]
    public ref T Get(ulong flags) => ref *(T*)Storage.FindLocal(null, null, true);
}
