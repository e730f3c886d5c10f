namespace Skep.Bpf.Maps;

/// <summary>
/// Goes over the entries that a map in the process has, as <c>bpf_for_each_map_elem</c> does in the kernel: whoever looks at an entry may remove it.
/// </summary>
/// <param name="storage">The map's storage.</param>
/// <param name="key">Room for a key: that of the current entry.</param>
/// <param name="next">Room for a key.</param>
public unsafe ref struct MapWalk(MapStorage storage, Span<byte> key, Span<byte> next)
{
    private readonly Span<byte> _key = key;
    private readonly Span<byte> _next = next;
    private bool _hasNext = storage.NextKey(default, next) == 0;

    /// <summary>The live value of the current entry; on per-CPU kinds that of the current CPU.</summary>
    public byte* Value { get; private set; }

    /// <summary>Goes to the next entry; false at the end.</summary>
    public bool MoveNext()
    {
        while (_hasNext)
        {
            _next.CopyTo(_key);

            // Looked for before the entry is shown: from one that is gone there is no way on.
            _hasNext = storage.NextKey(_key, _next) == 0;
            fixed (byte* k = _key)
            {
                Value = storage.Find(k);
            }

            if (Value != null)
            {
                return true;
            }
        }

        return false;
    }
}
