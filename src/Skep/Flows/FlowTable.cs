using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace Skep.Flows;

/// <summary>By what flows are ranked.</summary>
public enum FlowRank
{
    /// <summary>Bytes of both directions.</summary>
    Bytes,
    /// <summary>Packets of both directions.</summary>
    Packets,
    /// <summary>Smoothed round trip.</summary>
    Rtt,
    /// <summary>Retransmits.</summary>
    Retransmits,
    /// <summary>Dropped packets.</summary>
    Drops,
}

/// <summary>How long silent flows stay in the table.</summary>
public sealed record FlowTimeouts
{
    /// <summary>TCP that has not ended.</summary>
    public TimeSpan Tcp { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>Flows that ended; shorter than the balancer remembers a closed connection, which tells that two halves belong together.</summary>
    public TimeSpan Ended { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Everything else.</summary>
    public TimeSpan Other { get; init; } = TimeSpan.FromMinutes(1);
}

/// <summary>
/// User half of the flow programs: reads the table, puts the halves of balanced flows together, and joins to each flow what the kernel dropped and sent again of it.
/// The time provider's timestamp must be the kernel's monotonic clock, as <see cref="TimeProvider.System"/>'s is on Linux.
/// </summary>
public sealed class FlowTable(
    FlowMaps maps,
    TimeProvider time,
    KernelEventMaps? drops = null,
    KernelEventMaps? retransmits = null,
    FlowTimeouts? timeouts = null,
    TranslationLookup? translations = null)
{
    // Flows that are swept at a time: the table may be full of what is over.
    private const int Sweeping = 1024;

    private readonly FlowTimeouts _timeouts = timeouts ?? new FlowTimeouts();

    /// <summary>Monotonic nanoseconds, as the programs stamp packets.</summary>
    public ulong Now => (ulong)(time.GetTimestamp() * (1e9 / time.TimestampFrequency));

    /// <summary>Shows every flow once, in no particular order, and keeps none. Flows that come or go meanwhile may be missed or repeated.</summary>
    public void Walk(FlowVisitor visit)
    {
        ArgumentNullException.ThrowIfNull(visit);
        TranslatedFlows.Walk(maps.Table, translations, visit);
    }

    /// <summary>The flows that match, in no particular order. Flows that come or go meanwhile may be missed or repeated.</summary>
    public ImmutableArray<Flow> Read(FlowFilter? filter = null)
    {
        var records = new List<FlowRecord>();
        Walk((in FlowRecord flow) => records.Add(flow));
        var events = EventsOf(CollectionsMarshal.AsSpan(records));
        return [.. records.Select(r => events.Describe(in r)).Where(f => filter is null || filter.Matches(f))];
    }

    /// <summary>The first <paramref name="count"/> flows that match, largest first.</summary>
    public ImmutableArray<Flow> Top(int count, FlowRank rank = FlowRank.Bytes, FlowFilter? filter = null) =>
        [.. Read(filter).OrderByDescending(f => Value(f, rank)).ThenBy(f => f.ToString(), StringComparer.Ordinal).Take(count)];

    /// <summary>What the kernel dropped and sent again of flows until now.</summary>
    /// <param name="records">The flows.</param>
    /// <param name="again">What is not needed any more, whose memory is used again; null for none.</param>
    public FlowEvents EventsOf(ReadOnlySpan<FlowRecord> records, FlowEvents? again = null)
    {
        var events = again ?? new FlowEvents();
        events.Read(Now, ReadRetransmits(), drops, records);
        return events;
    }

    /// <summary>The flow of an end event, by the name that those of the table have.</summary>
    public FlowRecord OfEvent(in FlowEntry entry) => TranslatedFlows.Of(in entry, translations);

    /// <summary>What this host's TCP has sent again until now.</summary>
    public RetransmitCounts ReadRetransmits() => new(retransmits);

    /// <summary>
    /// Removes flows that have been silent for too long; returns how many. Those that no event told of are shown to <paramref name="ended"/>:
    /// idle ones, and balanced ones whose halves each saw one FIN.
    /// </summary>
    public int Sweep(FlowVisitor ended)
    {
        ArgumentNullException.ThrowIfNull(ended);
        var over = new List<FlowRecord>();
        var total = 0;
        do
        {
            over.Clear();
            var now = Now;
            Walk((in FlowRecord flow) =>
            {
                if (over.Count < Sweeping && now > flow.LastSeen && (now - flow.LastSeen) / 1e9 > TimeoutOf(flow.Entry).TotalSeconds)
                {
                    over.Add(flow);
                }
            });
            total += over.Count;
            foreach (ref readonly var flow in CollectionsMarshal.AsSpan(over))
            {
                // Removed by somebody else, or ended with an event of its own: told already.
                if (Remove(in flow) && !flow.IsTold)
                {
                    var entry = flow.Entry;
                    entry.End = entry.End == FlowEnd.None ? FlowEnd.Idle : entry.End;
                    ended(new FlowRecord(in entry, flow.Translation, isTold: false));
                }
            }
        }
        while (over.Count == Sweeping);
        return total;
    }

    /// <summary>Counts of the programs over all CPUs.</summary>
    public ImmutableSortedDictionary<FlowCounter, ulong> ReadCounters()
    {
        var counters = ImmutableSortedDictionary.CreateBuilder<FlowCounter, ulong>();
        foreach (var counter in Enum.GetValues<FlowCounter>())
        {
            maps.Counters.TryGet((uint)counter, out var perCpu);
            counters[counter] = perCpu.Aggregate(0UL, (sum, value) => sum + value);
        }

        return counters.ToImmutable();
    }

    private static double Value(Flow flow, FlowRank rank) => rank switch
    {
        FlowRank.Packets => flow.Packets,
        FlowRank.Rtt => flow.Rtt?.TotalSeconds ?? 0,
        FlowRank.Retransmits => flow.Retransmits,
        FlowRank.Drops => flow.Drops.Sum(d => (double)d.Packets),
        _ => flow.Bytes,
    };

    private bool Remove(in FlowRecord flow)
    {
        if (flow.Translation is not { } translation)
        {
            var key = flow.Key;
            return maps.Table.Remove(in key);
        }

        var (service, backend) = TranslatedFlows.NamesOf(flow.Key, translation);
        return maps.Table.Remove(in service) | maps.Table.Remove(in backend);
    }

    // A FIN in a flow whose other direction is not seen may have been the last that is heard of it.
    private TimeSpan TimeoutOf(in FlowEntry entry) => entry.End != FlowEnd.None ? _timeouts.Ended
        : TranslatedFlows.IsOneWay(in entry) && ((entry.Sent.Flags | entry.Received.Flags) & (uint)Packets.TcpFlags.Fin) != 0 ? _timeouts.Other
        : entry.Key.Protocol == (uint)Packets.IpProtocol.Tcp ? _timeouts.Tcp
        : _timeouts.Other;
}
