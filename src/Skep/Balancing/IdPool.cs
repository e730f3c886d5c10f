using System.Collections;

namespace Skep.Balancing;

/// <summary>Gives out numbers of a range. A released number is used again as late as possible, because tables may still mention it.</summary>
internal sealed class IdPool(uint first, uint last)
{
    private readonly BitArray _taken = new(checked((int)(last - first + 1)));
    private uint _next;

    /// <summary>Takes a number; false when all are taken.</summary>
    public bool TryTake(out uint id)
    {
        var count = (uint)_taken.Count;
        for (uint i = 0; i < count; i++)
        {
            var candidate = (_next + i) % count;
            if (!_taken[(int)candidate])
            {
                _taken[(int)candidate] = true;
                _next = candidate + 1;
                id = first + candidate;
                return true;
            }
        }

        id = 0;
        return false;
    }

    /// <summary>Takes over a number that is in use already; false when it is taken or out of range.</summary>
    public bool Adopt(uint id)
    {
        if (id < first || id > last || _taken[(int)(id - first)])
        {
            return false;
        }

        _taken[(int)(id - first)] = true;
        _next = Math.Max(_next, id - first + 1);
        return true;
    }

    /// <summary>Gives a number back.</summary>
    public void Release(uint id) => _taken[(int)(id - first)] = false;
}
