using System.Collections.Concurrent;
using Skep.Agent.Api;
using Skep.Agent.Metrics;
using Skep.Bpf.Buffers;
using Skep.Flows;
using Skep.Packets;

namespace Skep.Agent.Observing;

/// <summary>
/// Flows for the API: those of the table, and those that ended lately, which the table soon forgets. A full table is walked, never copied:
/// what an answer keeps depends on its own size alone.
/// </summary>
internal sealed class FlowLog(FlowMaps maps, FlowTable table, TimeProvider wall) : IDisposable
{
    private const int KeptEnded = 4096;
    private static readonly TimeSpan s_walk = TimeSpan.FromSeconds(4);

    private readonly Lock _gate = new();
    private readonly Lock _walking = new();
    private readonly Queue<FlowRecord> _ended = new();
    private readonly HashSet<FlowKey> _gone = [];
    private readonly ConcurrentBag<FlowSelection> _selections = [];
    private readonly SortedDictionary<FlowEnd, ulong> _endings = [];
    private readonly TrafficSum _traffic = new();
    private RingBufferReader<FlowEntry>? _reader;
    private long? _tickedAt;

    /// <summary>Flows in the table.</summary>
    public int Count => CountByProtocol().Sum();

    public void Open() => _reader = new RingBufferReader<FlowEntry>(maps.Ended);

    /// <summary>Takes ended flows out of the ring until the token is cancelled.</summary>
    public Task RunAsync(CancellationToken cancellation) =>
        _reader!.DrainAsync((in FlowEntry entry) => Ended(table.OfEvent(in entry)), cancellation);

    /// <summary>Adds up what went on and forgets what is over, every few seconds: it walks the whole table.</summary>
    public void Tick(IReadOnlyDictionary<int, string> interfaces)
    {
        if (_tickedAt is { } at && wall.GetElapsedTime(at) < s_walk)
        {
            return;
        }

        _tickedAt = wall.GetTimestamp();
        _traffic.Add(maps.Table, interfaces);
        table.Sweep(Ended);
    }

    /// <summary>Flows that match, live ones and those that ended lately; to be disposed of when the answer is written.</summary>
    public FlowsView View(Api.FlowFilter filter, IReadOnlyDictionary<int, string> interfaces)
    {
        // One at a time: what many ask for at once is not in memory at once.
        lock (_walking)
        {
            var selection = _selections.TryTake(out var kept) ? kept : new FlowSelection();
            selection.Begin(filter.Limit);
            var again = filter.Order == FlowOrder.Retransmits ? table.ReadRetransmits() : null;
            var since = filter.Since is { } moment ? MonotonicOf(moment) : 0;
            lock (_gate)
            {
                _gone.Clear();
                foreach (var flow in _ended)
                {
                    _gone.Add(flow.Key);
                }
            }

            table.Walk((in FlowRecord flow) =>
            {
                if (flow.End != FlowEnd.None)
                {
                    // The table keeps an ended flow for a while: it is shown once, as the table has it.
                    _gone.Remove(flow.Key);
                }

                Offer(in flow);
            });
            lock (_gate)
            {
                foreach (var flow in _ended)
                {
                    if (_gone.Contains(flow.Key))
                    {
                        Offer(in flow);
                    }
                }
            }

            selection.End();
            var now = wall.GetUtcNow();
            selection.Events = table.EventsOf(selection.Records, selection.Events);
            return new FlowsView(now, selection.Offered, new SelectedFlows(selection, now, interfaces, _selections.Add));

            void Offer(in FlowRecord flow)
            {
                if (filter.Matches(in flow, interfaces, since))
                {
                    selection.Offer(filter.RankOf(in flow, again), in flow);
                }
            }
        }
    }

    /// <summary>End events that found no room in the ring.</summary>
    public ulong LostEvents => table.ReadCounters()[FlowCounter.LostEvents];

    public void WriteMetrics(MetricsWriter writer, IReadOnlyDictionary<int, string> interfaces)
    {
        _traffic.Add(maps.Table, interfaces);
        var counters = table.ReadCounters();
        writer.Gauge("skep_flows", "Flows in the table.");
        var counts = CountByProtocol();
        for (var protocol = 0; protocol < counts.Length; protocol++)
        {
            if (counts[protocol] > 0)
            {
                writer.Sample(counts[protocol], ("protocol", FlowViews.NameOf((IpProtocol)protocol)));
            }
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

    private int[] CountByProtocol()
    {
        var counts = new int[256];
        table.Walk((in FlowRecord flow) => counts[(byte)flow.Key.Protocol]++);
        return counts;
    }

    /// <summary>The moment as programs stamp packets.</summary>
    private ulong MonotonicOf(DateTimeOffset moment)
    {
        var (now, ago) = (table.Now, (wall.GetUtcNow() - moment).TotalNanoseconds);
        return ago >= now ? 0 : (ulong)Math.Max(0, now - ago);
    }

    private void Ended(in FlowRecord flow)
    {
        lock (_gate)
        {
            _endings[flow.End] = _endings.GetValueOrDefault(flow.End) + 1;
            _ended.Enqueue(flow);
            if (_ended.Count > KeptEnded)
            {
                _ended.Dequeue();
            }
        }
    }
}
