using System.Collections.Immutable;

namespace Skep.Flows;

/// <summary>
/// What the kernel dropped of some flows. Of the others nothing is kept, however many they are. Reading again uses the same memory.
/// </summary>
internal sealed class DropCounts
{
    private readonly Dictionary<Conversation, List<FlowDrop>?> _drops = [];

    public void Read(KernelEventMaps? maps, ReadOnlySpan<FlowRecord> flows)
    {
        _drops.Clear();
        if (maps is null)
        {
            return;
        }

        _drops.EnsureCapacity(flows.Length);
        foreach (ref readonly var flow in flows)
        {
            var (first, second) = Conversation.Of(in flow);
            _drops[first] = null;
            if (second is { } other)
            {
                _drops[other] = null;
            }
        }

        maps.Totals.ReadAll((key, entry) =>
        {
            // A drop belongs to both orientations: which side is local depends on the interface a flow is seen at.
            var drop = new FlowDrop(key.Reason, entry.Count, entry.Detail);
            var conversation = Conversation.Of(in key);
            Add(conversation, drop);
            if (conversation.Reversed != conversation)
            {
                Add(conversation.Reversed, drop);
            }
        });
    }

    /// <summary>Drops of a flow, most frequent first.</summary>
    public ImmutableArray<FlowDrop> Of(in FlowRecord flow)
    {
        var (first, second) = Conversation.Of(in flow);
        var one = _drops.GetValueOrDefault(first);
        var two = second is { } other ? _drops.GetValueOrDefault(other) : null;
        return one is null && two is null
            ? []
            : [
                .. (one ?? []).Concat(two ?? [])
                    .GroupBy(d => d.Reason)
                    .Select(g => g.Last() with { Packets = g.Aggregate(0UL, (sum, d) => sum + d.Packets) })
                    .OrderByDescending(d => d.Packets).ThenBy(d => d.Reason),
            ];
    }

    private void Add(Conversation conversation, FlowDrop drop)
    {
        if (_drops.TryGetValue(conversation, out var list))
        {
            (_drops[conversation] = list ?? []).Add(drop);
        }
    }
}
