using Skep.Flows;

namespace Skep.Agent.Observing;

/// <summary>
/// The flows of highest rank of any number that are offered, in room for those alone. The room is kept from one selection to the next: arrays of this
/// size from the shared pool would stay behind for every processor and thread. Not for concurrent use.
/// </summary>
internal sealed class FlowSelection
{
    private const int AtFirst = 256;
    private static readonly Comparer<(ulong Rank, int Place)> s_highestFirst = Comparer<(ulong Rank, int Place)>.Create((a, b) => b.Rank.CompareTo(a.Rank));

    // A heap: the lowest rank of those that are kept stands first. Records stay where they are, ranks with the places of their records move.
    private (ulong Rank, int Place)[] _ranks = [];
    private FlowRecord[] _records = [];
    private int _limit;
    private int _count;

    /// <summary>Flows that were offered.</summary>
    public int Offered { get; private set; }

    /// <summary>What happened to the selected flows; kept for its memory like the rest.</summary>
    public FlowEvents? Events { get; set; }

    /// <summary>Flows in the selection.</summary>
    public int Count => _count;

    /// <summary>The selection, in no order.</summary>
    public ReadOnlySpan<FlowRecord> Records => _records.AsSpan(0, _count);

    /// <summary>Begins a selection of at most <paramref name="limit"/> flows.</summary>
    public void Begin(int limit) => (_limit, _count, Offered) = (limit, 0, 0);

    /// <summary>Takes a flow into the selection, in the place of the lowest one when there is no room.</summary>
    public void Offer(ulong rank, in FlowRecord flow)
    {
        Offered++;
        if (_count < _limit)
        {
            if (_count == _records.Length)
            {
                var larger = Math.Min(_limit, Math.Max(AtFirst, _count * 2));
                Array.Resize(ref _records, larger);
                Array.Resize(ref _ranks, larger);
            }

            _records[_count] = flow;
            Raise(_count, (rank, _count));
            _count++;
        }
        else if (rank > _ranks[0].Rank)
        {
            var place = _ranks[0].Place;
            _records[place] = flow;
            Sink((rank, place));
        }
    }

    /// <summary>The flow of the given place in the order of ranks, highest first, once <see cref="End"/> was called.</summary>
    public ref readonly FlowRecord this[int index] => ref _records[_ranks[index].Place];

    /// <summary>Ends the selection: puts it in order, and nothing may be offered until the next one begins.</summary>
    public void End() => Array.Sort(_ranks, 0, _count, s_highestFirst);

    private void Raise(int at, (ulong Rank, int Place) item)
    {
        while (at > 0 && item.Rank < _ranks[(at - 1) / 2].Rank)
        {
            _ranks[at] = _ranks[(at - 1) / 2];
            at = (at - 1) / 2;
        }

        _ranks[at] = item;
    }

    private void Sink((ulong Rank, int Place) item)
    {
        var at = 0;
        while (true)
        {
            var child = (2 * at) + 1;
            if (child + 1 < _count && _ranks[child + 1].Rank < _ranks[child].Rank)
            {
                child++;
            }

            if (child >= _count || item.Rank <= _ranks[child].Rank)
            {
                break;
            }

            _ranks[at] = _ranks[child];
            at = child;
        }

        _ranks[at] = item;
    }
}
