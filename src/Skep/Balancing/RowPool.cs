namespace Skep.Balancing;

/// <summary>Gives out runs of rows of a map, the shortest free run that is long enough.</summary>
internal sealed class RowPool(uint rows)
{
    // In the order of their starts, no two touching.
    private readonly List<(uint Start, uint Length)> _free = [(0, rows)];

    /// <summary>Rows that are free, in runs of whatever length.</summary>
    public uint Free { get; private set; } = rows;

    /// <summary>Takes a run and leaves at least <paramref name="reserve"/> rows free.</summary>
    public bool TryTake(uint length, uint reserve, out uint start)
    {
        start = 0;
        if (Free < (ulong)length + reserve)
        {
            return false;
        }

        var best = -1;
        for (var i = 0; i < _free.Count; i++)
        {
            if (_free[i].Length >= length && (best < 0 || _free[i].Length < _free[best].Length))
            {
                best = i;
            }
        }

        if (best < 0)
        {
            return false;
        }

        start = _free[best].Start;
        Cut(best, start, length);
        return true;
    }

    /// <summary>Takes over a run that is in use already; false when it is not free.</summary>
    public bool Adopt(uint start, uint length)
    {
        var at = _free.FindIndex(f => f.Start <= start && start + (ulong)length <= f.Start + (ulong)f.Length);
        if (at < 0)
        {
            return false;
        }

        Cut(at, start, length);
        return true;
    }

    /// <summary>Gives a run back.</summary>
    public void Release(uint start, uint length)
    {
        var at = _free.FindIndex(f => f.Start > start);
        at = at < 0 ? _free.Count : at;
        _free.Insert(at, (start, length));
        Free += length;
        Join(at);
        if (at > 0)
        {
            Join(at - 1);
        }
    }

    private void Cut(int at, uint start, uint length)
    {
        var (first, whole) = _free[at];
        _free.RemoveAt(at);
        var (before, after) = (start - first, first + whole - (start + length));
        if (after > 0)
        {
            _free.Insert(at, (start + length, after));
        }

        if (before > 0)
        {
            _free.Insert(at, (first, before));
        }

        Free -= length;
    }

    private void Join(int at)
    {
        if (at + 1 < _free.Count && _free[at].Start + _free[at].Length == _free[at + 1].Start)
        {
            _free[at] = (_free[at].Start, _free[at].Length + _free[at + 1].Length);
            _free.RemoveAt(at + 1);
        }
    }
}
