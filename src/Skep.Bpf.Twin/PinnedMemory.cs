namespace Skep.Bpf.Twin;

/// <summary>
/// Zeroed memory at a stable address. It comes from the pinned heap, so a <c>ref</c> that a program holds keeps it alive even after
/// the map was disposed of: a stale reference reads old bytes, never foreign ones. Pages are committed when first touched.
/// </summary>
internal readonly unsafe struct PinnedMemory
{
    private readonly ulong[] _owner;

    public PinnedMemory(ulong bytes)
    {
        var words = (bytes + 7) / 8;
        if (words > (ulong)Array.MaxLength)
        {
            throw new ArgumentOutOfRangeException(nameof(bytes), bytes, "A map of the twin holds at most 16 GiB.");
        }

        _owner = GC.AllocateArray<ulong>((int)Math.Max(words, 1), pinned: true);

        // The array is on the pinned heap and _owner keeps it: the address stays what it is.
        fixed (ulong* address = _owner)
        {
            Address = (byte*)address;
        }
    }

    /// <summary>First byte, aligned to eight.</summary>
    public byte* Address { get; }

    /// <summary>Bytes in all.</summary>
    public long Length => _owner.Length * 8L;
}
