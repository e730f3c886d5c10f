using Skep.Bpf.Programming;

namespace Skep.Bpf.Maps;

/// <summary>A value per cgroup (<c>BPF_MAP_TYPE_CGRP_STORAGE</c>, kernel 6.2). The process names a cgroup by a descriptor of its directory.</summary>
public sealed unsafe class CgroupStorage<T>(string? name = null) : LocalStorage<T>(MapKind.CgroupStorage, MapFlags.None, name)
    where T : unmanaged
{
    /// <summary>Program side: the value of the cgroup, or a null reference when it has none.</summary>
    /// <param name="owner">A <c>struct cgroup</c> the verifier knows.</param>
    public ref T Find(void* owner) => ref Get(owner, 0, 0);

    /// <summary>Program side: the value of the cgroup, made of zeros when it has none yet; a null reference when there is no memory, or the owner is about to go.</summary>
    /// <param name="owner">A <c>struct cgroup</c> the verifier knows.</param>
    public ref T FindOrCreate(void* owner) => ref Get(owner, 0, Create);

    /// <summary>Program side: as the other overload; a new value begins as a copy of <paramref name="initial"/>.</summary>
    /// <param name="owner">A <c>struct cgroup</c> the verifier knows.</param>
    /// <param name="initial">What a new value begins with.</param>
    public ref T FindOrCreate(void* owner, in T initial) => ref GetFrom(owner, in initial, Create);

    [KernelHelper(210, Since = "6.2")]
    private ref T Get(void* owner, ulong noInitial, ulong flags) => ref Local(owner, null, flags);

    [KernelHelper(210, Since = "6.2")]
    private ref T GetFrom(void* owner, in T initial, ulong flags)
    {
        fixed (T* value = &initial)
        {
            return ref Local(owner, value, flags);
        }
    }

    /// <summary>Program side: takes the value away. 0, or -ENOENT when there is none.</summary>
    [KernelHelper(211, Since = "6.2")]
    public int Delete(void* owner) => RemoveLocal(owner);
}
