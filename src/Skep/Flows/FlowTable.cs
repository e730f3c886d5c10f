using System.Collections.Immutable;

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

    /// <summary>Flows that ended.</summary>
    public TimeSpan Ended { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Everything else.</summary>
    public TimeSpan Other { get; init; } = TimeSpan.FromMinutes(1);
}

/// <summary>
/// User half of the flow programs: reads the table and joins to each flow what the kernel dropped and sent again of it.
/// The time provider's timestamp must be the kernel's monotonic clock, as <see cref="TimeProvider.System"/>'s is on Linux.
/// </summary>
public sealed class FlowTable(
    FlowMaps maps, TimeProvider time, KernelEventMaps? drops = null, KernelEventMaps? retransmits = null, FlowTimeouts? timeouts = null)
{
    private readonly FlowTimeouts _timeouts = timeouts ?? new FlowTimeouts();

    private ulong Now => (ulong)(time.GetTimestamp() * (1e9 / time.TimestampFrequency));

    /// <summary>The flows that match, in no particular order. Flows that come or go meanwhile may be missed or repeated.</summary>
    public ImmutableArray<Flow> Read(FlowFilter? filter = null)
    {
        var dropped = ReadDrops();
        var again = ReadRetransmits();
        var now = Now;
        var flows = ImmutableArray.CreateBuilder<Flow>();
        maps.Table.ReadAll((_, entry) =>
        {
            var flow = Join(in entry, now, dropped, again);
            if (filter is null || filter.Matches(flow))
            {
                flows.Add(flow);
            }
        });
        return flows.ToImmutable();
    }

    /// <summary>The first <paramref name="count"/> flows that match, largest first.</summary>
    public ImmutableArray<Flow> Top(int count, FlowRank rank = FlowRank.Bytes, FlowFilter? filter = null) =>
        [.. Read(filter).OrderByDescending(f => Value(f, rank)).ThenBy(f => f.ToString(), StringComparer.Ordinal).Take(count)];

    /// <summary>The flow of an end event, joined as those of the table are.</summary>
    public Flow OfEvent(in FlowEntry entry) => Join(in entry, Now, ReadDrops(), ReadRetransmits());

    /// <summary>Removes flows that have been silent for too long and returns those that had not ended by themselves, marked as idle.</summary>
    public ImmutableArray<Flow> Sweep()
    {
        var now = Now;
        var over = new List<FlowEntry>();
        maps.Table.ReadAll((_, entry) =>
        {
            if (now > entry.LastSeen && (now - entry.LastSeen) / 1e9 > TimeoutOf(in entry).TotalSeconds)
            {
                over.Add(entry);
            }
        });
        var idle = ImmutableArray.CreateBuilder<Flow>();
        foreach (var entry in over)
        {
            if (maps.Table.Remove(in entry.Key) && entry.End == FlowEnd.None)
            {
                var ended = entry;
                ended.End = FlowEnd.Idle;
                idle.Add(Flow.From(in ended, now));
            }
        }

        return idle.ToImmutable();
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

    private static Flow Join(in FlowEntry entry, ulong now, Dictionary<Conversation, List<FlowDrop>> dropped, Dictionary<Conversation, ulong> again)
    {
        var flow = Flow.From(in entry, now);
        var conversation = new Conversation(entry.Key.Local, entry.Key.Remote, entry.Key.RawPorts, entry.Key.Protocol);
        var retransmits = again.GetValueOrDefault(conversation);
        return dropped.TryGetValue(conversation, out var list)
            ? flow with { KernelRetransmits = retransmits, Drops = [.. list.OrderByDescending(d => d.Packets).ThenBy(d => d.Reason)] }
            : flow with { KernelRetransmits = retransmits };
    }

    private TimeSpan TimeoutOf(in FlowEntry entry) => entry.End != FlowEnd.None ? _timeouts.Ended
        : entry.Key.Protocol == (uint)Packets.IpProtocol.Tcp ? _timeouts.Tcp
        : _timeouts.Other;

    // A drop belongs to both orientations: which side is local depends on the interface a flow is seen at.
    private Dictionary<Conversation, List<FlowDrop>> ReadDrops()
    {
        var result = new Dictionary<Conversation, List<FlowDrop>>();
        drops?.Totals.ReadAll((key, entry) =>
        {
            var drop = new FlowDrop(key.Reason, entry.Count, entry.Detail);
            var conversation = new Conversation(key.Source, key.Destination, key.RawPorts, key.Protocol);
            Add(conversation, drop);
            if (conversation.Reversed != conversation)
            {
                Add(conversation.Reversed, drop);
            }
        });
        return result;

        void Add(Conversation conversation, FlowDrop drop)
        {
            if (!result.TryGetValue(conversation, out var list))
            {
                result[conversation] = list = [];
            }

            // One entry per interface in the map, one per reason here.
            var index = list.FindIndex(d => d.Reason == drop.Reason);
            if (index < 0)
            {
                list.Add(drop);
            }
            else
            {
                list[index] = list[index] with { Packets = list[index].Packets + drop.Packets };
            }
        }
    }

    private Dictionary<Conversation, ulong> ReadRetransmits()
    {
        var result = new Dictionary<Conversation, ulong>();
        retransmits?.Totals.ReadAll((key, entry) => result[new Conversation(key.Source, key.Destination, key.RawPorts, key.Protocol)] = entry.Count);
        return result;
    }

    private readonly record struct Conversation(Packets.IpAddress Source, Packets.IpAddress Destination, uint RawPorts, uint Protocol)
    {
        public Conversation Reversed => new(Destination, Source, (RawPorts << 16) | (RawPorts >> 16), Protocol);
    }
}
