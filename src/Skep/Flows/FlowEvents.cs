namespace Skep.Flows;

/// <summary>What the kernel dropped and sent again of some flows at one moment: joins it to each of them.</summary>
public sealed class FlowEvents
{
    private readonly DropCounts _dropped = new();
    private RetransmitCounts _again = new(null);
    private ulong _now;

    internal void Read(ulong now, RetransmitCounts again, KernelEventMaps? drops, ReadOnlySpan<FlowRecord> flows)
    {
        (_now, _again) = (now, again);
        _dropped.Read(drops, flows);
    }

    /// <summary>The flow in full.</summary>
    /// <param name="record">One of those that the events were read for; of others no drops are known.</param>
    public Flow Describe(in FlowRecord record)
    {
        var flow = Flow.From(record.Entry, _now) with { KernelRetransmits = _again.Of(in record), Drops = _dropped.Of(in record) };
        return record.Translation is { } t ? flow with { Backend = t.Backend, BackendPort = t.BackendPort } : flow;
    }
}
