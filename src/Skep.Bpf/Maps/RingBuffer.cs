using Skep.Bpf.Programming;

namespace Skep.Bpf.Maps;

/// <summary>Ring buffer of records, from programs on any CPU to one reader (<c>BPF_MAP_TYPE_RINGBUF</c>, kernel 5.8).</summary>
/// <typeparam name="T">Record struct.</typeparam>
public sealed unsafe class RingBuffer<T> : BpfMap
    where T : unmanaged
{
    /// <summary>Describes a ring of <paramref name="bytes"/> bytes: a power of two and a multiple of the page size.</summary>
    public RingBuffer(uint bytes, string? name = null)
        : base(MapKind.RingBuffer, 0, 0, bytes, MapFlags.None, name)
    {
        if (bytes < 4096 || (bytes & (bytes - 1)) != 0)
        {
            throw new ArgumentOutOfRangeException(nameof(bytes), bytes, "The size of a ring buffer is a power of two, at least 4096 bytes.");
        }
    }

    /// <inheritdoc/>
    public override Type? KeyType => null;

    /// <inheritdoc/>
    public override Type ValueType => typeof(T);

    /// <summary>Program side: appends a copy of <paramref name="record"/>. 0, or a negative errno when the ring is full; count that, it is a lost event.</summary>
    public int Output(in T record)
    {
        fixed (T* r = &record)
        {
            return OutputBytes(r, (ulong)sizeof(T), 0);
        }
    }

    /// <summary>Program side: appends <paramref name="size"/> bytes (<c>bpf_ringbuf_output</c>).</summary>
    [KernelHelper(130, Since = "5.8")]
    public int OutputBytes(void* record, ulong size, ulong flags) => Storage.Output((byte*)record, size);
}
