using Skep.Bpf.Buffers;

namespace Skep.Bpf.Maps;

/// <summary>
/// Where a map's entries live: in the kernel behind a file descriptor, or in the process under the twin.
/// Failures are negative errno numbers, as the kernel gives them.
/// </summary>
public abstract unsafe class MapStorage : IDisposable
{
    /// <summary>What the kernel says of an operation a map kind does not have; the number is not part of errno.h (<c>ENOTSUPP</c>).</summary>
    private protected const int NoSuchOperation = 524;

    /// <summary>Number of values an entry has for the user side: possible CPUs for per-CPU kinds, else 1.</summary>
    public abstract int ValuesPerEntry { get; }

    /// <summary>
    /// Program side: the live value under <paramref name="key"/>, that of the current CPU for per-CPU kinds, or null.
    /// Storage in the kernel supports this only for mapped arrays.
    /// </summary>
    public abstract byte* Find(byte* key);

    /// <summary>Program side: insert or replace; on per-CPU kinds the value of the current CPU. 0 or a negative errno.</summary>
    public abstract int Update(byte* key, byte* value, ulong mode);

    /// <summary>Program side: remove. 0 or a negative errno.</summary>
    public abstract int Delete(byte* key);

    /// <summary>Program side: append a record to a ring buffer. 0, or a negative errno when it is full.</summary>
    public virtual int Output(byte* record, ulong size) => -22;

    /// <summary>Program side: room for a record in a ring buffer, to be given away by <see cref="Programming.KernelEnvironment.GiveRecord"/>; null when it is full.</summary>
    public virtual byte* Reserve(uint size) => throw new NotSupportedException("Records are reserved by programs in the kernel or under a twin.");

    /// <summary>Program side: the oldest record of a user ring buffer, -ENODATA (-61) when there is none, -EAGAIN when it was thrown away; then, too, it is to be released.</summary>
    public virtual int PeekRecord(out byte* record, out uint size) => throw new NotSupportedException("User ring buffers are drained by programs in the kernel or under a twin.");

    /// <summary>Program side: gives the room of the oldest record back to the process.</summary>
    public virtual void ReleaseRecord() => throw new NotSupportedException("User ring buffers are drained by programs in the kernel or under a twin.");

    /// <summary>Program side: pages of an arena, zeroed; null when there are not enough.</summary>
    public virtual byte* AllocatePages(uint pages) => throw new NotSupportedException("Pages are allocated by programs in the kernel or under a twin.");

    /// <summary>Program side: pages of an arena that nobody needs any more.</summary>
    public virtual void FreePages(byte* memory, uint pages) => throw new NotSupportedException("Pages are given back by programs in the kernel or under a twin.");

    /// <summary>Program side: add a value to a kind without keys (<c>bpf_map_push_elem</c>). 0 or a negative errno.</summary>
    public virtual int Push(byte* value, ulong flags) => -NoSuchOperation;

    /// <summary>Program side: take the next value of a queue or stack (<c>bpf_map_pop_elem</c>). 0 or a negative errno.</summary>
    public virtual int Pop(byte* value) => -NoSuchOperation;

    /// <summary>Program side: look at the next value of a queue or stack, or for a value in a bloom filter (<c>bpf_map_peek_elem</c>). 0 or a negative errno.</summary>
    public virtual int Peek(byte* value) => -NoSuchOperation;

    /// <summary>Program side: the inner map under a key of a map of maps, or null. Only in the process.</summary>
    public virtual BpfMap? FindMap(byte* key) => throw new NotSupportedException("Inner maps are found by programs in the kernel or under a twin.");

    /// <summary>Program side: where a packet for that key goes (<c>bpf_redirect_map</c>): an XDP verdict.</summary>
    public virtual int Redirect(ulong key, ulong flags) => throw new NotSupportedException("Packets are redirected by programs in the kernel or under a twin.");

    /// <summary>Program side: the value that belongs to a kernel object, or null.</summary>
    public virtual byte* FindLocal(void* owner, byte* initial, bool create) =>
        throw new NotSupportedException("Values of kernel objects are found by programs in the kernel or under a twin.");

    /// <summary>Program side: takes the value of a kernel object away. 0 or a negative errno.</summary>
    public virtual int RemoveLocal(void* owner) => -NoSuchOperation;

    /// <summary>User side: put an inner map, which gets storage of the same sort if it has none, into a map of maps. 0 or a negative errno.</summary>
    public virtual int WriteMap(ReadOnlySpan<byte> key, BpfMap inner, ulong mode) => -NoSuchOperation;

    /// <summary>User side: read the value, all CPUs one after the other for per-CPU kinds (each rounded up to 8 bytes). 0 or a negative errno.</summary>
    public abstract int Read(ReadOnlySpan<byte> key, Span<byte> value);

    /// <summary>User side: insert or replace, all CPUs for per-CPU kinds. 0 or a negative errno.</summary>
    public abstract int Write(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, ulong mode);

    /// <summary>User side: remove. 0 or a negative errno.</summary>
    public abstract int Remove(ReadOnlySpan<byte> key);

    /// <summary>User side: read the value and remove the entry; in one step where the kernel can. 0 or a negative errno.</summary>
    public virtual int Take(ReadOnlySpan<byte> key, Span<byte> value)
    {
        var status = Read(key, value);
        return status == 0 ? Remove(key) : status;
    }

    /// <summary>User side: the key after <paramref name="key"/>, or the first one when it is empty. 0 or a negative errno (-ENOENT at the end).</summary>
    public abstract int NextKey(ReadOnlySpan<byte> key, Span<byte> next);

    /// <summary>
    /// User side: read many entries at once. Fills keys and values up to <paramref name="capacity"/> entries and returns the number read;
    /// <paramref name="cursor"/> is opaque, zero to begin; <paramref name="done"/> tells that no more follow.
    /// </summary>
    public abstract int ReadBatch(ref ulong cursor, Span<byte> keys, Span<byte> values, int capacity, out bool done);

    /// <summary>
    /// User side: insert or replace <paramref name="count"/> entries, all CPUs for per-CPU kinds.
    /// Returns the number written, or a negative errno; some of the entries may then be in.
    /// </summary>
    public virtual int WriteBatch(ReadOnlySpan<byte> keys, ReadOnlySpan<byte> values, int count, ulong mode)
    {
        if (count == 0)
        {
            return 0;
        }

        var (keySize, valueSize) = (keys.Length / count, values.Length / count);
        for (var i = 0; i < count; i++)
        {
            var status = Write(keys.Slice(i * keySize, keySize), values.Slice(i * valueSize, valueSize), mode);
            if (status < 0)
            {
                return status;
            }
        }

        return count;
    }

    /// <summary>
    /// User side: read and remove many entries at once, as <see cref="ReadBatch"/>. In one step where the kernel can; else what a program
    /// writes to an entry between the two is lost with it.
    /// </summary>
    public virtual int TakeBatch(ref ulong cursor, Span<byte> keys, Span<byte> values, int capacity, out bool done)
    {
        var read = ReadBatch(ref cursor, keys, values, capacity, out done);
        if (read > 0)
        {
            var removed = RemoveBatch(keys[..(keys.Length / capacity * read)], read);
            return removed < 0 ? removed : read;
        }

        return read;
    }

    /// <summary>User side: remove <paramref name="count"/> entries. The number of those that were there, or a negative errno.</summary>
    public virtual int RemoveBatch(ReadOnlySpan<byte> keys, int count)
    {
        var removed = 0;
        for (var i = 0; i < count; i++)
        {
            var status = Remove(keys.Slice(i * (keys.Length / count), keys.Length / count));
            if (status is not 0 and not -Errno.NoEntry)
            {
                return status;
            }

            removed += status == 0 ? 1 : 0;
        }

        return removed;
    }

    /// <summary>User side: the memory of a mapped array or arena, or null.</summary>
    public virtual byte* Memory => null;

    /// <summary>User side: opens the rings of a perf event array, each of that many pages. The caller disposes of it.</summary>
    /// <exception cref="NotSupportedException">The map is no perf event array.</exception>
    public virtual PerfEventSource OpenPerfEvents(int pagesPerCpu) => throw new NotSupportedException("This map is not a perf event array.");

    /// <summary>User side: opens a user ring buffer for writing; one writer at a time. The caller disposes of it.</summary>
    /// <exception cref="NotSupportedException">The map is no user ring buffer.</exception>
    public virtual UserRingBufferTarget OpenUserRingBuffer() => throw new NotSupportedException("This map is not a user ring buffer.");

    /// <summary>User side: the records of a ring buffer; one reader at a time. The caller disposes of it.</summary>
    /// <exception cref="NotSupportedException">The map is not a ring buffer.</exception>
    public virtual RingBufferSource OpenRingBuffer() => throw new NotSupportedException("This map is not a ring buffer.");

    /// <inheritdoc/>
    public abstract void Dispose();
}
