using Skep.Bpf.Programs;

namespace Skep.Bpf.Maps;

/// <summary>A kind of map: a row of the one table that API, probes and documentation read.</summary>
/// <param name="Kind">The kernel's number of it.</param>
/// <param name="Name">Name, unique in the table.</param>
/// <param name="Class">The C# class; null when programs have no use for it by themselves.</param>
/// <param name="MinimumKernel">First version that makes it.</param>
/// <param name="Use">What it is good for, in a few words.</param>
public sealed record MapKindRow(MapKind Kind, string Name, Type? Class, Version MinimumKernel, string Use)
{
    /// <summary>Describes the smallest map of the kind, for the probe; null when another way tells more.</summary>
    internal Func<BpfMap>? Smallest { get; init; }

    /// <summary>Whether the twin has it too.</summary>
    public bool InTwin { get; init; } = true;
}

/// <summary>The table of map kinds. First versions are those of the kernel's changelogs, the floor of this library is 5.15.</summary>
public static class MapKinds
{
    /// <summary>All kinds, in the order of the kernel's numbers.</summary>
    public static IReadOnlyList<MapKindRow> All { get; } =
    [
        Row(MapKind.Hash, "hash", typeof(HashMap<,>), "3.19", "entries under any key", static () => new HashMap<uint, uint>(1)),
        Row(MapKind.Array, "array", typeof(ArrayMap<>), "3.19", "entries under small numbers; globals", static () => new ArrayMap<uint>(1)),
        Row(MapKind.ProgramArray, "program array", typeof(ProgramArray<,>), "4.2", "tail calls", static () => new UntypedMap(MapKind.ProgramArray, 4, 4, 1)),
        Row(MapKind.PerfEventArray, "perf event array", typeof(PerfEventArray<>), "4.3", "events per CPU; ring buffers are better from 5.8", static () => new PerfEventArray<uint>()),
        Row(MapKind.PerCpuHash, "per-CPU hash", typeof(PerCpuHashMap<,>), "4.6", "counters under any key", static () => new PerCpuHashMap<uint, uint>(1)),
        Row(MapKind.PerCpuArray, "per-CPU array", typeof(PerCpuArrayMap<>), "4.6", "counters without contention", static () => new PerCpuArrayMap<uint>(1)),
        Row(MapKind.StackTrace, "stack trace", typeof(StackTraceMap), "4.6", "where in the code something happens", static () => new StackTraceMap(1, 1), inTwin: false),
        Row(MapKind.CgroupArray, "cgroup array", typeof(CgroupArray), "4.8", "whether a task is in a control group", static () => new CgroupArray(1), inTwin: false),
        Row(MapKind.LruHash, "LRU hash", typeof(LruHashMap<,>), "4.10", "tables that forget the oldest", static () => new LruHashMap<uint, uint>(1)),
        Row(MapKind.LruPerCpuHash, "LRU per-CPU hash", typeof(LruPerCpuHashMap<,>), "4.10", "counters that forget the oldest", static () => new LruPerCpuHashMap<uint, uint>(1)),
        Row(MapKind.LpmTrie, "LPM trie", typeof(LpmTrie<,>), "4.11", "address prefixes", static () => new LpmTrie<ulong, uint>(1)),
        Row(MapKind.ArrayOfMaps, "array of maps", typeof(ArrayOfMaps<>), "4.12", "tables that are exchanged whole", static () => new ArrayOfMaps<ArrayMap<uint>>(1, new ArrayMap<uint>(1))),
        Row(MapKind.HashOfMaps, "hash of maps", typeof(HashOfMaps<,>), "4.12", "a table for each of something", static () => new HashOfMaps<uint, ArrayMap<uint>>(1, new ArrayMap<uint>(1))),
        Row(MapKind.DevMap, "device map", typeof(DevMap), "4.14", "XDP to another interface", static () => new DevMap(1)),
        Row(MapKind.SockMap, "sockmap", typeof(SockMap), "4.14", "redirection between sockets", static () => new SockMap(1), inTwin: false),
        Row(MapKind.CpuMap, "CPU map", typeof(CpuMap), "4.15", "XDP to another CPU", static () => new CpuMap(1)),
        Row(MapKind.XskMap, "XSK map", typeof(XskMap), "4.18", "packets to AF_XDP sockets", static () => new XskMap(1), inTwin: false),
        Row(MapKind.SockHash, "sockhash", typeof(SockHash<>), "4.18", "redirection between sockets found by a key", static () => new SockHash<uint>(1), inTwin: false),
        Row(MapKind.CgroupStorageDeprecated, "attached storage", typeof(AttachedStorage<>), "4.19", "values of an attachment to a control group", static () => new AttachedStorage<uint>()),
        Row(MapKind.ReuseportSockArray, "reuseport array", typeof(ReuseportSockArray), "4.19", "sockets that share a port", static () => new ReuseportSockArray(1), inTwin: false),
        Row(MapKind.PerCpuCgroupStorageDeprecated, "per-CPU attached storage", typeof(PerCpuAttachedStorage<>), "4.20", "counters of an attachment to a control group", static () => new PerCpuAttachedStorage<uint>(), inTwin: false),
        Row(MapKind.Queue, "queue", typeof(QueueMap<>), "4.20", "first in, first out", static () => new QueueMap<uint>(1)),
        Row(MapKind.Stack, "stack", typeof(StackMap<>), "4.20", "last in, first out", static () => new StackMap<uint>(1)),
        Row(MapKind.SkStorage, "socket storage", typeof(SkStorage<>), "5.2", "values that go with their socket", static () => new SkStorage<uint>()),
        Row(MapKind.DevMapHash, "device hash", typeof(DevMapHash), "5.4", "XDP to another interface found by a key", static () => new DevMapHash(1)),
        Row(MapKind.StructOps, "struct_ops table", typeof(LoadedStructOps), "5.6", "functions of the kernel that are programs", null, inTwin: false),
        Row(MapKind.RingBuffer, "ring buffer", typeof(RingBuffer<>), "5.8", "events in order from all CPUs", static () => new RingBuffer<uint>((uint)Environment.SystemPageSize)),
        Row(MapKind.InodeStorage, "inode storage", typeof(InodeStorage<>), "5.10", "values that go with their file", static () => new InodeStorage<uint>()),
        Row(MapKind.TaskStorage, "task storage", typeof(TaskStorage<>), "5.11", "values that go with their thread", static () => new TaskStorage<uint>()),
        Row(MapKind.BloomFilter, "bloom filter", typeof(BloomFilter<>), "5.16", "fast tests of membership", static () => new BloomFilter<uint>(1)),
        Row(MapKind.UserRingBuffer, "user ring buffer", typeof(UserRingBuffer<>), "6.1", "events to programs", static () => new UserRingBuffer<uint>((uint)Environment.SystemPageSize)),
        Row(MapKind.CgroupStorage, "cgroup storage", typeof(CgroupStorage<>), "6.2", "values that go with their control group", static () => new CgroupStorage<uint>()),
        Row(MapKind.Arena, "arena", typeof(Arena), "6.9", "memory shared with the process", static () => new Arena(1)),
    ];

    /// <summary>The row of a kind.</summary>
    public static MapKindRow Of(MapKind kind) => All.First(row => row.Kind == kind);

    private static MapKindRow Row(MapKind kind, string name, Type type, string kernel, string use, Func<BpfMap>? smallest, bool inTwin = true) =>
        new(kind, name, type, Version.Parse(kernel), use) { Smallest = smallest, InTwin = inTwin };
}
