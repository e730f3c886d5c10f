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
    private readonly FlowTimeouts _timeouts = timeouts ?? new FlowTimeouts();

    private ulong Now => (ulong)(time.GetTimestamp() * (1e9 / time.TimestampFrequency));

    /// <summary>The flows that match, in no particular order. Flows that come or go meanwhile may be missed or repeated.</summary>
    public ImmutableArray<Flow> Read(FlowFilter? filter = null)
    {
        var dropped = ReadDrops();
        var again = ReadRetransmits();
        var now = Now;
        return [.. ReadEntries().Select(j => Join(in j, now, dropped, again)).Where(f => filter is null || filter.Matches(f))];
    }

    /// <summary>The first <paramref name="count"/> flows that match, largest first.</summary>
    public ImmutableArray<Flow> Top(int count, FlowRank rank = FlowRank.Bytes, FlowFilter? filter = null) =>
        [.. Read(filter).OrderByDescending(f => Value(f, rank)).ThenBy(f => f.ToString(), StringComparer.Ordinal).Take(count)];

    /// <summary>The flow of an end event, joined as those of the table are.</summary>
    public Flow OfEvent(in FlowEntry entry) => Join(TranslatedFlows.Join([entry], translations)[0], Now, ReadDrops(), ReadRetransmits());

    /// <summary>The flow of an end event alone, which costs no walk through the tables of drops.</summary>
    public Flow NameEvent(in FlowEntry entry) => Of(TranslatedFlows.Join([entry], translations)[0], Now);

    /// <summary>Removes flows that have been silent for too long and returns those that no event told of: idle ones, and balanced ones whose halves each saw one FIN.</summary>
    public ImmutableArray<Flow> Sweep()
    {
        var now = Now;
        var ended = ImmutableArray.CreateBuilder<Flow>();
        foreach (var flow in ReadEntries())
        {
            if (now <= flow.Entry.LastSeen || (now - flow.Entry.LastSeen) / 1e9 <= TimeoutOf(flow.Entry).TotalSeconds)
            {
                continue;
            }

            // Removed by somebody else, or ended with an event of its own: told already.
            var isNews = false;
            foreach (var part in flow.Parts)
            {
                isNews |= maps.Table.Remove(in part.Key);
            }

            if (isNews && flow.Parts.All(p => p.End == FlowEnd.None))
            {
                var entry = flow.Entry;
                entry.End = entry.End == FlowEnd.None ? FlowEnd.Idle : entry.End;
                ended.Add(Of(flow with { Entry = entry }, now));
            }
        }

        return ended.ToImmutable();
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

    private static Flow Of(in TranslatedFlows.Joined joined, ulong now) => joined.Translation is { } translation
        ? Flow.From(joined.Entry, now) with { Backend = translation.Backend, BackendPort = translation.BackendPort }
        : Flow.From(joined.Entry, now);

    private static Flow Join(
        in TranslatedFlows.Joined joined, ulong now, Dictionary<Conversation, List<FlowDrop>> dropped, Dictionary<Conversation, ulong> again)
    {
        // The kernel knows each half of a balanced flow by its own addresses.
        var names = joined.Parts.Select(p => new Conversation(p.Key.Local, p.Key.Remote, p.Key.RawPorts, p.Key.Protocol)).Distinct().ToArray();
        return Of(in joined, now) with
        {
            KernelRetransmits = names.Aggregate(0UL, (sum, name) => sum + again.GetValueOrDefault(name)),
            Drops =
            [
                .. names.SelectMany(name => dropped.GetValueOrDefault(name) ?? [])
                    .GroupBy(d => d.Reason)
                    .Select(g => g.Last() with { Packets = g.Aggregate(0UL, (sum, d) => sum + d.Packets) })
                    .OrderByDescending(d => d.Packets).ThenBy(d => d.Reason),
            ],
        };
    }

    private IReadOnlyList<TranslatedFlows.Joined> ReadEntries()
    {
        var entries = new List<FlowEntry>();
        maps.Table.ReadAll((_, entry) => entries.Add(entry));
        return TranslatedFlows.Join(entries, translations);
    }

    // A FIN in a flow whose other direction is not seen may have been the last that is heard of it.
    private TimeSpan TimeoutOf(in FlowEntry entry) => entry.End != FlowEnd.None ? _timeouts.Ended
        : TranslatedFlows.IsOneWay(in entry) && ((entry.Sent.Flags | entry.Received.Flags) & (uint)Packets.TcpFlags.Fin) != 0 ? _timeouts.Other
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
