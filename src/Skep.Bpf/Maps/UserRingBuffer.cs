using System.Runtime.CompilerServices;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Maps;

/// <summary>
/// Ring buffer of records from the process to programs (<c>BPF_MAP_TYPE_USER_RINGBUF</c>, kernel 6.1). Written by
/// <see cref="Buffers.UserRingBufferWriter{T}"/>; programs drain it when they run.
/// </summary>
/// <typeparam name="T">Record struct.</typeparam>
public sealed unsafe class UserRingBuffer<T> : BpfMap
    where T : unmanaged
{
    /// <summary>Describes a ring of <paramref name="bytes"/> bytes: a power of two and a multiple of the page size.</summary>
    public UserRingBuffer(uint bytes, string? name = null)
        : base(MapKind.UserRingBuffer, 0, 0, bytes, MapFlags.None, name)
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

    /// <summary>
    /// Program side: calls <paramref name="visit"/> for every record that waits, oldest first, until it says <see cref="LoopControl.Break"/> (<c>bpf_user_ringbuf_drain</c>,
    /// kernel 6.1); at most 131072 of them. A record shorter than <typeparamref name="T"/> is skipped.
    /// </summary>
    /// <param name="visit">A static lambda or a method; it knows only its arguments, and readonly fields of its object.</param>
    /// <param name="state">What the visits share; a variable on the stack.</param>
    /// <returns>Records taken out, those that were skipped included, or a negative errno: EBUSY when another program drains the ring now.</returns>
    public long Drain<TState>(RecordVisitor<T, TState> visit, ref TState state)
        where TState : struct, allows ref struct => Drain(visit, ref state, 0);

    /// <summary>As the other, for records of different sizes, each seen through a pointer that knows its bounds.</summary>
    /// <param name="visit">A static lambda or a method; it knows only its arguments, and readonly fields of its object.</param>
    /// <param name="state">What the visits share; a variable on the stack.</param>
    /// <returns>Records taken out, or a negative errno: EBUSY when another program drains the ring now.</returns>
    public long DrainBytes<TState>(BytesVisitor<TState> visit, ref TState state)
        where TState : struct, allows ref struct => DrainBytes(visit, ref state, 0);

    [KernelHelper(209, Since = "6.1")]
    private long Drain<TState>([KernelCallback(TakesRecord = true)] RecordVisitor<T, TState> visit, ref TState state, ulong flags)
        where TState : struct, allows ref struct
    {
        _ = flags;
        long drained = 0;
        for (var (peeked, goesOn) = (0, true); peeked < UserRing.MostRecords && goesOn; peeked++)
        {
            var status = Storage.PeekRecord(out var record, out var size);
            if (status == UserRing.NoData)
            {
                break;
            }

            if (status == 0)
            {
                goesOn = size < sizeof(T) || visit(in Unsafe.AsRef<T>(record), ref state) == LoopControl.Continue;
                drained++;
            }

            Storage.ReleaseRecord();
        }

        return drained;
    }

    [KernelHelper(209, Since = "6.1")]
    private long DrainBytes<TState>(BytesVisitor<TState> visit, ref TState state, ulong flags)
        where TState : struct, allows ref struct
    {
        _ = flags;
        long drained = 0;
        for (var (peeked, goesOn) = (0, true); peeked < UserRing.MostRecords && goesOn; peeked++)
        {
            var status = Storage.PeekRecord(out var record, out var size);
            if (status == UserRing.NoData)
            {
                break;
            }

            if (status == 0)
            {
                BpfDynptr.ToMemory(record, size, isRecord: false, isLocked: false, out var pointer);
                goesOn = visit(in pointer, ref state) == LoopControl.Continue;
                drained++;
            }

            Storage.ReleaseRecord();
        }

        return drained;
    }
}

/// <summary>Numbers of the kernel about user ring buffers (<c>kernel/bpf/ringbuf.c</c>).</summary>
internal static class UserRing
{
    /// <summary>Records that one drain looks at (<c>BPF_MAX_USER_RINGBUF_SAMPLES</c>).</summary>
    public const int MostRecords = 128 * 1024;

    /// <summary>Nothing waits (-ENODATA).</summary>
    public const int NoData = -61;
}

/// <summary>Looks at a record that the process wrote.</summary>
/// <param name="record">The record.</param>
/// <param name="state">What the visits share.</param>
public delegate LoopControl RecordVisitor<T, TState>(in T record, ref TState state)
    where T : unmanaged
    where TState : struct, allows ref struct;

/// <summary>Looks at a record of any size that the process wrote.</summary>
/// <param name="record">The record.</param>
/// <param name="state">What the visits share.</param>
public delegate LoopControl BytesVisitor<TState>(in BpfDynptr record, ref TState state)
    where TState : struct, allows ref struct;
