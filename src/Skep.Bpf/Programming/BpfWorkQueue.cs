using System.Runtime.InteropServices;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Programming;

/// <summary>
/// A work queue in a map's value (<c>struct bpf_wq</c>, kernel 6.10): as a <see cref="BpfTimer"/>, but its function runs at once, as a thread of the kernel that may sleep. Sixteen
/// bytes, one per value, in hash tables, LRU hash tables and arrays. When the entry is removed or replaced, it is gone.
/// </summary>
/// <remarks>Under the twin the function runs when the program that started it ends.</remarks>
[KernelStruct("bpf_wq", IsValue = true)]
[StructLayout(LayoutKind.Sequential)]
public unsafe struct BpfWorkQueue
{
    private ulong _number;
    private readonly ulong _reserved;

    /// <summary>Makes the queue usable, once in the life of its entry (<c>bpf_wq_init</c>).</summary>
    /// <param name="map">The map in whose value it stands.</param>
    /// <returns>0, or a negative errno: EBUSY when it is usable already.</returns>
    public int Initialize(BpfMap map) => Initialize(ref this, map, 0);

    /// <summary>Says what the work is (<c>bpf_wq_set_callback</c>).</summary>
    /// <param name="map">The map in whose value it stands: it gives the types of key and value.</param>
    /// <param name="work">A static lambda or a method; it knows only its arguments, and readonly fields of its object.</param>
    /// <returns>0, or a negative errno: EINVAL when the queue was not made usable.</returns>
    public int OnWork<TKey, TValue>(KeyedMap<TKey, TValue> map, EntryCallback<TKey, TValue> work)
        where TKey : unmanaged
        where TValue : unmanaged
    {
        _ = map;
        return SetCallback(ref this, work, 0, null);
    }

    /// <summary>Has the work done (<c>bpf_wq_start</c>); when it waits already, once is enough.</summary>
    /// <returns>0, or a negative errno: EINVAL without <see cref="OnWork"/>.</returns>
    public int Start() => Start(ref this, 0);

    [KernelFunction("bpf_wq_init", Since = "6.10")]
    private static int Initialize(ref BpfWorkQueue queue, BpfMap map, uint flags)
    {
        fixed (ulong* number = &queue._number)
        {
            return KernelEnvironment.Current.Timers.Initialize(number, map, flags);
        }
    }

    [KernelFunction("bpf_wq_set_callback_impl", Since = "6.10")]
    private static int SetCallback<TKey, TValue>(
        ref BpfWorkQueue queue, [KernelCallback(skip: 1, RunsLater = true)] EntryCallback<TKey, TValue> work, uint flags, void* program)
        where TKey : unmanaged
        where TValue : unmanaged
    {
        _ = flags;
        _ = program;
        fixed (ulong* number = &queue._number)
        {
            return KernelEnvironment.Current.Timers.SetCallback(number, LaterCall.To(work));
        }
    }

    [KernelFunction("bpf_wq_start", Since = "6.10")]
    private static int Start(ref BpfWorkQueue queue, uint flags)
    {
        fixed (ulong* number = &queue._number)
        {
            return KernelEnvironment.Current.Timers.Start(number, 0, flags);
        }
    }
}
