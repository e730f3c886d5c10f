namespace Skep.Bpf.Maps;

/// <summary>Kinds of maps (<c>enum bpf_map_type</c>).</summary>
public enum MapKind : uint
{
    /// <summary>Hash table.</summary>
    Hash = 1,
    /// <summary>Array indexed by <c>uint</c>; all entries exist.</summary>
    Array = 2,
    /// <summary>Programs, for tail calls.</summary>
    ProgramArray = 3,
    /// <summary>Perf events, one per CPU.</summary>
    PerfEventArray = 4,
    /// <summary>Hash table with a value per CPU.</summary>
    PerCpuHash = 5,
    /// <summary>Array with a value per CPU.</summary>
    PerCpuArray = 6,
    /// <summary>Stack traces under a number.</summary>
    StackTrace = 7,
    /// <summary>Cgroups, for membership tests.</summary>
    CgroupArray = 8,
    /// <summary>Hash table that evicts the least recently used entry when full.</summary>
    LruHash = 9,
    /// <summary>LRU hash table with a value per CPU.</summary>
    LruPerCpuHash = 10,
    /// <summary>Longest-prefix-match trie.</summary>
    LpmTrie = 11,
    /// <summary>Array of maps.</summary>
    ArrayOfMaps = 12,
    /// <summary>Hash table of maps.</summary>
    HashOfMaps = 13,
    /// <summary>Interfaces to redirect to, by index.</summary>
    DevMap = 14,
    /// <summary>Sockets to redirect to, by index.</summary>
    SockMap = 15,
    /// <summary>CPUs to redirect to.</summary>
    CpuMap = 16,
    /// <summary>AF_XDP sockets to redirect to.</summary>
    XskMap = 17,
    /// <summary>Sockets to redirect to, by key.</summary>
    SockHash = 18,
    /// <summary>Values per cgroup and attachment (deprecated).</summary>
    CgroupStorageDeprecated = 19,
    /// <summary>Sockets of a reuseport group.</summary>
    ReuseportSockArray = 20,
    /// <summary>Values per CPU, cgroup and attachment (deprecated).</summary>
    PerCpuCgroupStorageDeprecated = 21,
    /// <summary>First in, first out.</summary>
    Queue = 22,
    /// <summary>Last in, first out.</summary>
    Stack = 23,
    /// <summary>Values that belong to sockets.</summary>
    SkStorage = 24,
    /// <summary>Interfaces to redirect to, by key.</summary>
    DevMapHash = 25,
    /// <summary>The functions of a struct_ops.</summary>
    StructOps = 26,
    /// <summary>Ring buffer shared by all CPUs (kernel 5.8).</summary>
    RingBuffer = 27,
    /// <summary>Values that belong to inodes.</summary>
    InodeStorage = 28,
    /// <summary>Values that belong to tasks.</summary>
    TaskStorage = 29,
    /// <summary>Approximate set membership.</summary>
    BloomFilter = 30,
    /// <summary>Ring buffer that the process writes and programs read (kernel 6.1).</summary>
    UserRingBuffer = 31,
    /// <summary>Values that belong to cgroups (kernel 6.2).</summary>
    CgroupStorage = 32,
    /// <summary>Memory shared by programs and process (kernel 6.9).</summary>
    Arena = 33,
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
    /// <summary>Memory from the NUMA node of <see cref="BpfMap.NumaNode"/>, which sets this flag (kernel 4.14).</summary>
    OnNumaNode = 1 << 2,
    /// <summary>The descriptor the process gets cannot write entries (kernel 4.15).</summary>
    ReadOnlyForProcess = 1 << 3,
    /// <summary>The descriptor the process gets cannot read entries (kernel 4.15).</summary>
    WriteOnlyForProcess = 1 << 4,
    /// <summary>Stack traces hold build ids and offsets instead of addresses (kernel 4.17).</summary>
    StackBuildId = 1 << 5,
    /// <summary>Hash seed zero instead of random: for tests only (kernel 5.0).</summary>
    ZeroSeed = 1 << 6,
    /// <summary>Programs cannot write the values (kernel 5.2).</summary>
    ReadOnlyForPrograms = 1 << 7,
    /// <summary>Programs cannot read the values (kernel 5.2).</summary>
    WriteOnlyForPrograms = 1 << 8,
    /// <summary>Accepted sockets inherit the storage of the listener (sk storage, kernel 5.4).</summary>
    Clone = 1 << 9,
    /// <summary>The values can be mapped into the process (arrays, kernel 5.5).</summary>
    Mmapable = 1 << 10,
    /// <summary>Perf events stay when the descriptor that put them in is closed (kernel 5.10).</summary>
    PreserveElements = 1 << 11,
    /// <summary>As the template of a map of maps: inner arrays may differ in their number of entries (kernel 5.10).</summary>
    InnerMap = 1 << 12,
    /// <summary>A struct_ops that is attached by a link (kernel 6.4).</summary>
    Link = 1 << 13,
    /// <summary>A struct_ops whose type is that of a kernel module (kernel 6.9).</summary>
    ModuleType = 1 << 15,
    /// <summary>The descriptor of a BPF token comes with the call; set where a token is used (kernel 6.9).</summary>
    WithToken = 1 << 16,
    /// <summary>An arena whose absent pages fault in the process instead of being made (kernel 6.9).</summary>
    FaultOnAbsentPage = 1 << 17,
    /// <summary>An arena whose pointers are not converted for the process (kernel 6.9).</summary>
    NoPointerConversion = 1 << 18,
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
