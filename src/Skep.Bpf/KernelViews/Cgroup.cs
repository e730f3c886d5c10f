using Skep.Bpf.Programming;

namespace Skep.Bpf.KernelViews;

/// <summary>A control group (<c>struct cgroup</c>, <c>include/linux/cgroup-defs.h</c>).</summary>
[KernelStruct("cgroup")]
public unsafe struct Cgroup
{
    /// <summary>The group as the kernel's tree of groups has it.</summary>
    public CgroupState Self;

    /// <summary>Levels above it; 0 for the root.</summary>
    public int Level;

    /// <summary>Its directory.</summary>
    [KernelField("kn")]
    public KernfsNode* Directory;
}

/// <summary>What the tree of groups consists of (<c>struct cgroup_subsys_state</c>).</summary>
[KernelStruct("cgroup_subsys_state")]
public unsafe struct CgroupState
{
    /// <summary>The group.</summary>
    public Cgroup* Cgroup;

    /// <summary>That of the group above; null at the root.</summary>
    public CgroupState* Parent;
}

/// <summary>A directory of the control group file system (<c>struct kernfs_node</c>, <c>include/linux/kernfs.h</c>).</summary>
[KernelStruct("kernfs_node")]
public struct KernfsNode
{
    /// <summary>Number of the group: what <see cref="Helper.GetCurrentCgroupId"/> gives, and the inode number of the directory.</summary>
    public ulong Id;
}
