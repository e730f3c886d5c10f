namespace Skep.Bpf.Maps;

/// <summary>Hash table (<c>BPF_MAP_TYPE_HASH</c>, kernel 3.19).</summary>
public sealed class HashMap<TKey, TValue>(uint maxEntries, string? name = null, MapFlags flags = MapFlags.None)
    : ValueMap<TKey, TValue>(MapKind.Hash, maxEntries, flags, name)
    where TKey : unmanaged
    where TValue : unmanaged;

/// <summary>Hash table that evicts the least recently used entry when full (<c>BPF_MAP_TYPE_LRU_HASH</c>, kernel 4.10).</summary>
public sealed class LruHashMap<TKey, TValue>(uint maxEntries, string? name = null, MapFlags flags = MapFlags.None)
    : ValueMap<TKey, TValue>(MapKind.LruHash, maxEntries, flags, name)
    where TKey : unmanaged
    where TValue : unmanaged;

/// <summary>Hash table with a value per CPU (<c>BPF_MAP_TYPE_PERCPU_HASH</c>, kernel 4.6).</summary>
public sealed class PerCpuHashMap<TKey, TValue>(uint maxEntries, string? name = null, MapFlags flags = MapFlags.None)
    : PerCpuMap<TKey, TValue>(MapKind.PerCpuHash, maxEntries, flags, name)
    where TKey : unmanaged
    where TValue : unmanaged;

/// <summary>LRU hash table with a value per CPU (<c>BPF_MAP_TYPE_LRU_PERCPU_HASH</c>, kernel 4.10).</summary>
public sealed class LruPerCpuHashMap<TKey, TValue>(uint maxEntries, string? name = null, MapFlags flags = MapFlags.None)
    : PerCpuMap<TKey, TValue>(MapKind.LruPerCpuHash, maxEntries, flags, name)
    where TKey : unmanaged
    where TValue : unmanaged;

/// <summary>Array indexed by <c>uint</c> (<c>BPF_MAP_TYPE_ARRAY</c>, kernel 3.19).</summary>
public sealed class ArrayMap<TValue>(uint maxEntries, string? name = null, MapFlags flags = MapFlags.None)
    : ValueMap<uint, TValue>(MapKind.Array, maxEntries, flags, name)
    where TValue : unmanaged
{
    /// <summary>
    /// User side: the live entries of a mapped array, which programs see change without a call (<see cref="MapFlags.Mmapable"/>, kernel 5.5).
    /// A store of up to eight aligned bytes is seen whole or not at all, a larger value piece by piece. Valid until the map is disposed of.
    /// </summary>
    /// <exception cref="InvalidOperationException">The map is not mapped, or its values leave gaps: their size is no multiple of eight bytes.</exception>
    public unsafe Span<TValue> Entries
    {
        get
        {
            if ((Flags & MapFlags.Mmapable) == 0 || ValueSize % sizeof(ulong) != 0)
            {
                throw new InvalidOperationException($"Map '{Name}' has no entries side by side: make it with MapFlags.Mmapable and values of a multiple of eight bytes.");
            }

            // SAFETY: a mapped array holds its values one after the other from the first on, as long as the storage lives.
            var first = 0u;
            return new Span<TValue>(Storage.Find((byte*)&first), checked((int)MaxEntries));
        }
    }
}

/// <summary>Array with a value per CPU (<c>BPF_MAP_TYPE_PERCPU_ARRAY</c>, kernel 4.6).</summary>
public sealed class PerCpuArrayMap<TValue>(uint maxEntries, string? name = null, MapFlags flags = MapFlags.None)
    : PerCpuMap<uint, TValue>(MapKind.PerCpuArray, maxEntries, flags, name)
    where TValue : unmanaged;

/// <summary>
/// Longest-prefix-match trie (<c>BPF_MAP_TYPE_LPM_TRIE</c>, kernel 4.11). The key begins with the prefix length in bits (<c>uint</c>),
/// followed by the address in network byte order, and must have no padding.
/// </summary>
public sealed class LpmTrie<TKey, TValue>(uint maxEntries, string? name = null)
    : ValueMap<TKey, TValue>(MapKind.LpmTrie, maxEntries, MapFlags.NoPrealloc, name)
    where TKey : unmanaged
    where TValue : unmanaged;
