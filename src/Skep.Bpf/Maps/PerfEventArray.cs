using Skep.Bpf.Programming;

namespace Skep.Bpf.Maps;

/// <summary>
/// Events from programs to the process, a ring per CPU (<c>BPF_MAP_TYPE_PERF_EVENT_ARRAY</c>, kernel 4.3). <see cref="RingBuffer{T}"/> (5.8)
/// does the same with one ring in order; this one serves older kernels and programs written for it. Read by <see cref="Buffers.PerfEventReader{T}"/>.
/// </summary>
/// <typeparam name="T">Record struct.</typeparam>
public sealed unsafe class PerfEventArray<T> : BpfMap
    where T : unmanaged
{
    /// <summary><c>BPF_F_CURRENT_CPU</c>.</summary>
    private const ulong CurrentCpu = 0xffffffff;

    /// <summary>Describes an array with a ring for each possible CPU of this machine.</summary>
    public PerfEventArray(string? name = null)
        : base(MapKind.PerfEventArray, sizeof(uint), sizeof(uint), (uint)Kernel.PossibleCpus.Count, MapFlags.None, name)
    {
    }

    /// <summary>Numbers of CPUs.</summary>
    public override Type KeyType => typeof(uint);

    /// <summary>The records.</summary>
    public override Type ValueType => typeof(T);

    /// <summary>
    /// Program side: sends a copy of <paramref name="record"/> by the ring of this CPU. 0, or a negative errno: -ENOENT without a reader, -ENOSPC when
    /// the ring is full; the reader is told how many were lost.
    /// </summary>
    /// <param name="context">The context of the program.</param>
    /// <param name="record">The record.</param>
    public int Output<TContext>(ref TContext context, in T record)
        where TContext : unmanaged
    {
        fixed (T* r = &record)
        {
            return OutputBytes(ref context, this, CurrentCpu, r, (ulong)sizeof(T));
        }
    }

    /// <summary>Program side: the helper itself (<c>bpf_perf_event_output</c>).</summary>
    /// <param name="context">The context of the program.</param>
    /// <param name="map">The array.</param>
    /// <param name="flags">CPU in the lower 32 bits, all ones for the current one.</param>
    /// <param name="record">The bytes.</param>
    /// <param name="size">How many.</param>
    [KernelHelper(25)]
    public static int OutputBytes<TContext>(ref TContext context, PerfEventArray<T> map, ulong flags, void* record, ulong size)
        where TContext : unmanaged => map.Storage.Output((byte*)record, size);
}
