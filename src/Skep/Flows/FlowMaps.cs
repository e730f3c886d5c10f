using Skep.Bpf.Maps;
using Skep.Engine;

namespace Skep.Flows;

/// <summary>The maps of the flow programs, shared by ingress and egress on all interfaces.</summary>
public sealed class FlowMaps
{
    /// <summary>Describes the maps.</summary>
    /// <param name="maxFlows">Flows that are remembered; the least recently used is evicted.</param>
    /// <param name="eventBytes">Size of the ring of end events: a power of two.</param>
    public FlowMaps(uint maxFlows = 65536, uint eventBytes = 1 << 20)
    {
        Table = new(maxFlows, "flow_table");
        Ended = new(eventBytes, "flow_ended");
        Counters = new((uint)Enum.GetValues<FlowCounter>().Length, "flow_counters");
    }

    /// <summary>Flows.</summary>
    public LruHashMap<FlowKey, FlowEntry> Table { get; }

    /// <summary>Flows that ended by FIN or RST, as they were at that moment.</summary>
    public RingBuffer<FlowEntry> Ended { get; }

    /// <summary>Counts by <see cref="FlowCounter"/>.</summary>
    public PerCpuArrayMap<ulong> Counters { get; }

    /// <summary>What becomes of the entries of a map when an agent wants it in another size or layout.</summary>
    public MapMigration MigrationOf(BpfMap map) => map == Table ? MapMigration.Cache : map == Ended ? MapMigration.Scratch : MapMigration.Rebuilt;

    /// <summary>All maps, for pinning and for binding to a twin.</summary>
    public IReadOnlyList<BpfMap> All => [Table, Ended, Counters];
}
