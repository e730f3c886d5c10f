namespace Skep.Bpf.Maps;

/// <summary>Kinds of maps (<c>enum bpf_map_type</c>).</summary>
public enum MapKind : uint
{
    /// <summary>Hash table.</summary>
    Hash = 1,
    /// <summary>Array indexed by <c>uint</c>; all entries exist.</summary>
    Array = 2,
    /// <summary>Hash table with a value per CPU.</summary>
    PerCpuHash = 5,
    /// <summary>Array with a value per CPU.</summary>
    PerCpuArray = 6,
    /// <summary>Hash table that evicts the least recently used entry when full.</summary>
    LruHash = 9,
    /// <summary>LRU hash table with a value per CPU.</summary>
    LruPerCpuHash = 10,
    /// <summary>Longest-prefix-match trie.</summary>
    LpmTrie = 11,
    /// <summary>Ring buffer shared by all CPUs (kernel 5.8).</summary>
    RingBuffer = 27,
}

/// <summary>Creation flags (<c>BPF_F_*</c>).</summary>
[Flags]
public enum MapFlags : uint
{
    /// <summary>None.</summary>
    None = 0,
    /// <summary>Allocate entries when used; required by LPM tries.</summary>
    NoPrealloc = 1,
    /// <summary>A separate LRU list per CPU.</summary>
    NoCommonLru = 2,
    /// <summary>The values can be mapped into the process (arrays, kernel 5.5).</summary>
    Mmapable = 1 << 10,
}

/// <summary>When an update applies (<c>BPF_ANY</c>, <c>BPF_NOEXIST</c>, <c>BPF_EXIST</c>).</summary>
public enum UpdateMode : ulong
{
    /// <summary>Create or replace.</summary>
    Any = 0,
    /// <summary>Only create.</summary>
    NoExist = 1,
    /// <summary>Only replace.</summary>
    Exist = 2,
}
