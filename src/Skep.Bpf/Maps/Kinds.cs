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
    where TValue : unmanaged;

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
