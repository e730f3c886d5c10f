namespace Skep.Bpf.Buffers;

/// <summary>
/// The head of a record in a user ring buffer (<c>struct bpf_ringbuf_hdr</c>).
/// <code>
/// length : 30 | discarded : 1 | busy : 1 | unused : 32
/// </code>
/// </summary>
internal static unsafe class UserRecord
{
    internal const int HeaderSize = 8;
    internal const uint Busy = 1u << 31, Discarded = 1u << 30, Length = Discarded - 1;

    /// <summary>Bytes a record of that size takes in the ring.</summary>
    internal static ulong Taken(uint size) => ((ulong)size + HeaderSize + 7) & ~7ul;

    /// <summary>Ends the writing of a record: the head is written last, so that the kernel sees all of the bytes or none.</summary>
    internal static void Give(byte* record, bool keep)
    {
        var header = (uint*)(record - HeaderSize);
        Volatile.Write(ref *header, (*header & Length) | (keep ? 0 : Discarded));
    }
}
