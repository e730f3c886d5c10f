using Skep.Bpf.Maps;
using Skep.Engine;

namespace Skep.Flows;

/// <summary>The maps of one kind of kernel event.</summary>
public sealed class KernelEventMaps
{
    /// <summary>Describes the maps.</summary>
    /// <param name="name">Short name of the kind: <c>drop</c>, <c>rexmit</c>, <c>sock</c>.</param>
    /// <param name="maxKeys">Keys that are remembered; the least recently used is evicted.</param>
    /// <param name="eventBytes">Size of the ring: a power of two.</param>
    public KernelEventMaps(string name, uint maxKeys = 16384, uint eventBytes = 1 << 18)
    {
        Totals = new(maxKeys, $"{name}_totals");
        Events = new(eventBytes, $"{name}_events");
        Counts = new(2, $"{name}_counts");
    }

    /// <summary>Events added up per key.</summary>
    public LruHashMap<KernelEventKey, KernelEventEntry> Totals { get; }

    /// <summary>Every event.</summary>
    public RingBuffer<KernelEvent> Events { get; }

    /// <summary>Index 0: all events. Index 1: events that found no room in the ring.</summary>
    public PerCpuArrayMap<ulong> Counts { get; }

    /// <summary>What becomes of the entries of a map when an agent wants it in another size or layout.</summary>
    public MapMigration MigrationOf(BpfMap map) => map == Totals ? MapMigration.Cache : map == Events ? MapMigration.Scratch : MapMigration.Rebuilt;

    /// <summary>All maps, for pinning and for binding to a twin.</summary>
    public IReadOnlyList<BpfMap> All => [Totals, Events, Counts];

    /// <summary>Number of events since the maps were made, and how many of them are missing in the ring.</summary>
    public (ulong Events, ulong Lost) ReadCounts() => (Sum(0), Sum(1));

    private ulong Sum(uint index)
    {
        Counts.TryGet(in index, out var perCpu);
        return perCpu.Aggregate(0UL, (sum, value) => sum + value);
    }
}
