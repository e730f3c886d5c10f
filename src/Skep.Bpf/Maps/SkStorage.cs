using Skep.Bpf.Programming;

namespace Skep.Bpf.Maps;

/// <summary>A value per socket (<c>BPF_MAP_TYPE_SK_STORAGE</c>, kernel 5.2). With <see cref="MapFlags.Clone"/> the sockets that a listener accepts begin with its value.</summary>
public sealed unsafe class SkStorage<T>(string? name = null, MapFlags flags = MapFlags.None) : LocalStorage<T>(MapKind.SkStorage, flags, name)
    where T : unmanaged
{
    /// <summary>Program side: the value of the socket, or a null reference when it has none.</summary>
    /// <param name="owner">A full socket, tested for null.</param>
    public ref T Find(void* owner) => ref Get(owner, 0, 0);

    /// <summary>Program side: the value of the socket, made of zeros when it has none yet; a null reference when there is no memory, or the owner is about to go.</summary>
    /// <param name="owner">A full socket, tested for null.</param>
    public ref T FindOrCreate(void* owner) => ref Get(owner, 0, Create);

    /// <summary>Program side: as the other overload; a new value begins as a copy of <paramref name="initial"/>.</summary>
    /// <param name="owner">A full socket, tested for null.</param>
    /// <param name="initial">What a new value begins with.</param>
    public ref T FindOrCreate(void* owner, in T initial) => ref GetFrom(owner, in initial, Create);

    [KernelHelper(107, Since = "5.2")]
    private ref T Get(void* owner, ulong noInitial, ulong flags) => ref Local(owner, null, flags);

    [KernelHelper(107, Since = "5.2")]
    private ref T GetFrom(void* owner, in T initial, ulong flags)
    {
        fixed (T* value = &initial)
        {
            return ref Local(owner, value, flags);
        }
    }

    /// <summary>Program side: takes the value away. 0, or -ENOENT when there is none.</summary>
    [KernelHelper(108, Since = "5.2")]
    public int Delete(void* owner) => RemoveLocal(owner);
}
