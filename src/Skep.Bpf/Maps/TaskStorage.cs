using Skep.Bpf.Programming;

namespace Skep.Bpf.Maps;

/// <summary>A value per task (<c>BPF_MAP_TYPE_TASK_STORAGE</c>, kernel 5.11). The process names a task by a pidfd.</summary>
public sealed unsafe class TaskStorage<T>(string? name = null) : LocalStorage<T>(MapKind.TaskStorage, MapFlags.None, name)
    where T : unmanaged
{
    /// <summary>Program side: the value of the task, or a null reference when it has none.</summary>
    /// <param name="owner">A <c>struct task_struct</c> the verifier knows, as that of <c>bpf_get_current_task_btf</c>.</param>
    public ref T Find(void* owner) => ref Get(owner, 0, 0);

    /// <summary>Program side: the value of the task, made of zeros when it has none yet; a null reference when there is no memory, or the owner is about to go.</summary>
    /// <param name="owner">A <c>struct task_struct</c> the verifier knows, as that of <c>bpf_get_current_task_btf</c>.</param>
    public ref T FindOrCreate(void* owner) => ref Get(owner, 0, Create);

    /// <summary>Program side: as the other overload; a new value begins as a copy of <paramref name="initial"/>.</summary>
    /// <param name="owner">A <c>struct task_struct</c> the verifier knows, as that of <c>bpf_get_current_task_btf</c>.</param>
    /// <param name="initial">What a new value begins with.</param>
    public ref T FindOrCreate(void* owner, in T initial) => ref GetFrom(owner, in initial, Create);

    [KernelHelper(156, Since = "5.11")]
    private ref T Get(void* owner, ulong noInitial, ulong flags) => ref Local(owner, null, flags);

    [KernelHelper(156, Since = "5.11")]
    private ref T GetFrom(void* owner, in T initial, ulong flags)
    {
        fixed (T* value = &initial)
        {
            return ref Local(owner, value, flags);
        }
    }

    /// <summary>Program side: takes the value away. 0, or -ENOENT when there is none.</summary>
    [KernelHelper(157, Since = "5.11")]
    public int Delete(void* owner) => RemoveLocal(owner);
}
