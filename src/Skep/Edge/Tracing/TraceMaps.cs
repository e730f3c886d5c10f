using Skep.Bpf.Maps;

namespace Skep.Edge.Tracing;

/// <summary>The maps of tracing, made when something is traced for the first time.</summary>
public sealed class TraceMaps
{
    /// <summary>Which packets.</summary>
    public Global<TraceFilter> Filter { get; } = new("trace_filter");

    /// <summary>What was seen.</summary>
    public RingBuffer<TraceRecord> Events { get; } = new(1 << 18, "trace_events");

    /// <summary>Packets that found no room among <see cref="Events"/>.</summary>
    public PerCpuArrayMap<ulong> Lost { get; } = new(1, "trace_lost");

    /// <summary>Where a packet's record is written; of no meaning between packets.</summary>
    internal PerCpuArrayMap<TraceRecord> Scratch { get; } = new(1, "trace_scratch");

    /// <summary>All maps.</summary>
    public IReadOnlyList<BpfMap> All => [Filter, Events, Lost, Scratch];

    /// <summary>Packets that found no room so far, over all CPUs.</summary>
    public ulong ReadLost()
    {
        Lost.TryGet(0u, out var perCpu);
        return perCpu.Aggregate(0UL, (sum, value) => sum + value);
    }
}
