using System.Collections.Immutable;
using Skep.Agent.Api;
using Skep.Agent.Metrics;
using Skep.Bpf.Buffers;
using Skep.Flows;

namespace Skep.Agent.Observing;

/// <summary>Flows for the API: the table as it was a moment ago, and those that ended lately, which the table soon forgets.</summary>
internal sealed class FlowLog(FlowMaps maps, FlowTable table, TimeProvider wall) : IDisposable
{
    private const int KeptEnded = 4096;
    private static readonly TimeSpan s_fresh = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan s_walk = TimeSpan.FromSeconds(4);

    private readonly Lock _gate = new();
    private readonly Queue<SeenFlow> _ended = new();
    private readonly SortedDictionary<FlowEnd, ulong> _endings = [];
    private readonly TrafficSum _traffic = new();
    private RingBufferReader<FlowEntry>? _reader;
    private ImmutableArray<SeenFlow> _live = [];
    private long? _readAt;
    private long? _tickedAt;

    /// <summary>Flows in the table.</summary>
    public int Count => Live().Length;

    public void Open() => _reader = new RingBufferReader<FlowEntry>(maps.Ended);

    /// <summary>Takes ended flows out of the ring until the token is cancelled.</summary>
    public Task RunAsync(CancellationToken cancellation) =>
        _reader!.DrainAsync((in FlowEntry entry) => Ended(new SeenFlow(table.NameEvent(in entry), wall.GetUtcNow())), cancellation);

    /// <summary>Adds up what went on and forgets what is over, every few seconds: it walks the whole table.</summary>
    public void Tick(IReadOnlyDictionary<int, string> interfaces)
    {
        if (_tickedAt is { } at && wall.GetElapsedTime(at) < s_walk)
        {
            return;
        }

        _tickedAt = wall.GetTimestamp();
        _traffic.Add(maps.Table, interfaces);
        var now = wall.GetUtcNow();
        foreach (var flow in table.Sweep())
        {
            Ended(new SeenFlow(flow, now));
        }
    }

    /// <summary>Flows that match, live ones and those that ended lately.</summary>
    public FlowsView View(Api.FlowFilter filter, IReadOnlyDictionary<int, string> interfaces)
    {
        var live = Live();
        SeenFlow[] ended;
        lock (_gate)
        {
            // The table keeps an ended flow for a while: it is shown once, as the table has it.
            var shown = live.Where(s => s.Flow.IsOver).Select(s => Identity(s.Flow)).ToHashSet();
            ended = [.. _ended.Where(s => !shown.Contains(Identity(s.Flow)))];
        }

        // Only what is shown is kept while the table is walked: a full one as text would be tens of megabytes, four times a second.
        var kept = new PriorityQueue<FlowView, FlowView>(Comparer<FlowView>.Create((a, b) => FlowViews.Compare(filter.Order, a, b)));
        var matching = 0;
        foreach (var view in live.Concat(ended).Select(s => FlowViews.Of(s.Flow, s.At, interfaces)).Where(filter.Matches))
        {
            matching++;
            if (kept.Count < filter.Limit)
            {
                kept.Enqueue(view, view);
            }
            else
            {
                kept.EnqueueDequeue(view, view);
            }
        }

        var views = new FlowView[kept.Count];
        for (var i = views.Length - 1; i >= 0; i--)
        {
            views[i] = kept.Dequeue();
        }

        return new FlowsView(wall.GetUtcNow(), matching, views);
    }

    /// <summary>End events that found no room in the ring.</summary>
    public ulong LostEvents => table.ReadCounters()[FlowCounter.LostEvents];

    public void WriteMetrics(MetricsWriter writer, IReadOnlyDictionary<int, string> interfaces)
    {
        _traffic.Add(maps.Table, interfaces);
        var counters = table.ReadCounters();
        writer.Gauge("skep_flows", "Flows in the table.");
        foreach (var group in Live().GroupBy(s => s.Flow.Protocol).OrderBy(g => g.Key))
        {
            writer.Sample(group.Count(), ("protocol", FlowViews.NameOf(group.Key)));
        }

        writer.Counter("skep_flows_created_total", "Flows that began.");
        writer.Sample(counters[FlowCounter.Created]);
        writer.Counter("skep_flows_ended_total", "Flows that ended, by how.");
        lock (_gate)
        {
            foreach (var (end, count) in _endings)
            {
                writer.Sample(count, ("end", end.ToString().ToLowerInvariant()));
            }
        }

        writer.Counter("skep_flow_table_full_total", "Packets that found no room in the flow table.");
        writer.Sample(counters[FlowCounter.TableFull]);
        writer.Counter("skep_malformed_packets_total", "Packets whose headers are truncated or contradictory.");
        writer.Sample(counters[FlowCounter.Malformed]);
        _traffic.WriteMetrics(writer);
    }

    public void Dispose() => _reader?.Dispose();

    // Of the same ports only the latest is shown twice otherwise: the table has one entry for them.
    private static string Identity(Flow flow) => $"{flow} {flow.Interface}";

    private ImmutableArray<SeenFlow> Live()
    {
        lock (_gate)
        {
            if (_readAt is not { } at || wall.GetElapsedTime(at) > s_fresh)
            {
                var now = wall.GetUtcNow();
                _live = [.. table.Read().Select(f => new SeenFlow(f, now))];
                _readAt = wall.GetTimestamp();
            }

            return _live;
        }
    }

    private void Ended(SeenFlow flow)
    {
        lock (_gate)
        {
            _endings[flow.Flow.End] = _endings.GetValueOrDefault(flow.Flow.End) + 1;
            _ended.Enqueue(flow);
            if (_ended.Count > KeptEnded)
            {
                _ended.Dequeue();
            }
        }
    }
}

/// <summary>A flow and the moment at which its ages were true.</summary>
internal readonly record struct SeenFlow(Flow Flow, DateTimeOffset At);
