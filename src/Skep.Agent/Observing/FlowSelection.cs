using System.Buffers;
using Skep.Flows;

namespace Skep.Agent.Observing;

/// <summary>The flows of highest rank of any number that are offered, in room for those alone. The room comes from the pool and goes back to it.</summary>
internal sealed class FlowSelection(int limit) : IDisposable
{
    // A heap: the lowest rank of those that are kept stands first. Records stay where they are, ranks with the places of their records move.
    private (ulong Rank, int Place)[] _ranks = ArrayPool<(ulong, int)>.Shared.Rent(Math.Min(limit, 256));
    private FlowRecord[] _records = ArrayPool<FlowRecord>.Shared.Rent(Math.Min(limit, 256));
    private int _count;

    /// <summary>Flows that were offered.</summary>
    public int Offered { get; private set; }

    /// <summary>Takes a flow into the selection, in the place of the lowest one when there is no room.</summary>
    public void Offer(ulong rank, in FlowRecord flow)
    {
        Offered++;
        if (_count < limit)
        {
            Grow();
            _records[_count] = flow;
            Raise(_count++, (rank, _count - 1));
        }
        else if (rank > _ranks[0].Rank)
        {
            var place = _ranks[0].Place;
            _records[place] = flow;
            Sink((rank, place));
        }
    }

    /// <summary>The selection, highest rank first; nothing is selected afterwards. Valid until this is disposed of.</summary>
    public ReadOnlySpan<FlowRecord> Take()
    {
        var sorted = ArrayPool<FlowRecord>.Shared.Rent(_count);
        Array.Sort(_ranks, 0, _count, Comparer<(ulong Rank, int Place)>.Create((a, b) => b.Rank.CompareTo(a.Rank)));
        for (var i = 0; i < _count; i++)
        {
            sorted[i] = _records[_ranks[i].Place];
        }

        ArrayPool<FlowRecord>.Shared.Return(_records);
        _records = sorted;
        var count = _count;
        _count = 0;
        return _records.AsSpan(0, count);
    }

    public void Dispose()
    {
        ArrayPool<(ulong, int)>.Shared.Return(_ranks);
        ArrayPool<FlowRecord>.Shared.Return(_records);
        (_ranks, _records) = ([], []);
    }

    private void Grow()
    {
        Larger(ref _ranks);
        Larger(ref _records);
    }

    private void Larger<T>(ref T[] array)
    {
        if (_count == array.Length)
        {
            var larger = ArrayPool<T>.Shared.Rent(Math.Min(limit, _count * 2));
            array.AsSpan(0, _count).CopyTo(larger);
            ArrayPool<T>.Shared.Return(array);
            array = larger;
        }
    }

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
