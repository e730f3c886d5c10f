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

    /// <summary>
    /// Program side: room for a record of a size known at run time only (<c>bpf_ringbuf_reserve_dynptr</c>, kernel 5.19). Whatever it returns, the record must be
    /// submitted or discarded on every path; a path that does not is refused when compiled (SKEP0014). <see cref="Write"/> does it by itself.
    /// </summary>
    /// <param name="size">Bytes of the record.</param>
    /// <param name="record">The record; its bytes are whatever was there.</param>
    /// <returns>0, or a negative errno when the ring is full: then the record leads nowhere.</returns>
    public int Reserve(uint size, out BpfDynptr record) => Reserve(size, 0, out record);

    /// <summary>
    /// Program side: appends a record of a size known at run time only, which <paramref name="fill"/> writes in place (kernel 5.19). It goes to the reader when <paramref name="fill"/> says
    /// so, and is thrown away otherwise.
    /// </summary>
    /// <param name="size">Bytes of the record.</param>
    /// <param name="fill">A static lambda or a method; it knows only its arguments, and readonly fields of its object.</param>
    /// <param name="state">What it needs; a variable on the stack.</param>
    /// <returns>0, or a negative errno when the ring is full; count that, it is a lost event.</returns>
    public int Write<TState>(uint size, RecordWriter<TState> fill, ref TState state)
        where TState : struct, allows ref struct
    {
        var status = Reserve(size, 0, out var record);
        if (status == 0 && fill(ref record, ref state))
        {
            record.Submit();
        }
        else
        {
            record.Discard();
        }

        return status;
    }

    [KernelHelper(198, Since = "5.19", Acquires = true)]
    private int Reserve(uint size, ulong flags, out BpfDynptr record)
    {
        if (size > BpfDynptr.MostBytes || flags != 0)
        {
            record = default;
            return flags != 0 ? -Errno.Invalid : -Errno.TooBig;
        }

        var bytes = Storage.Reserve(size);
        if (bytes is null)
        {
            record = default;
            return -Errno.Invalid;
        }

        BpfDynptr.ToMemory(bytes, size, isRecord: true, isLocked: false, out record);
        return 0;
    }

    /// <summary>Program side: appends <paramref name="size"/> bytes (<c>bpf_ringbuf_output</c>).</summary>
    [KernelHelper(130, Since = "5.8")]
    public int OutputBytes(void* record, ulong size, ulong flags) => Storage.Output((byte*)record, size);
}

/// <summary>Writes a record in place.</summary>
/// <param name="record">The record.</param>
/// <param name="state">What the writer needs.</param>
/// <returns>Whether the reader gets it.</returns>
public delegate bool RecordWriter<TState>(ref BpfDynptr record, ref TState state)
    where TState : struct, allows ref struct;
