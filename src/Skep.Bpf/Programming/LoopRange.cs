namespace Skep.Bpf.Programming;

/// <summary>The numbers below a count, see <see cref="Loop.Range"/>.</summary>
public unsafe struct LoopRange : IDisposable
{
    private readonly uint _count;

    // Null where the kernel counts in another way; in the process always.
    private readonly NumberIterator* _iterator;
    private uint _next;

    internal LoopRange(uint count) => _count = count;

    private LoopRange(uint count, NumberIterator* iterator)
    {
        _count = count;
        _iterator = iterator;
    }

    /// <summary>The current number.</summary>
    public uint Current { get; private set; }

    /// <summary>Begins: <c>foreach</c> calls it.</summary>
    public readonly LoopRange GetEnumerator()
    {
        if (!Loop.Iterates())
        {
            return this;
        }

        var iterator = NumberIterator.OnStack();
        _ = NumberIterator.Begin(iterator, 0, (int)Math.Min(_count, Loop.MostRounds));
        return new LoopRange(_count, iterator);
    }

    /// <summary>Goes to the next number; false at the end.</summary>
    public bool MoveNext()
    {
        if (Loop.Iterates())
        {
            var number = NumberIterator.Next(_iterator);
            Current = number == null ? 0 : (uint)*number;
            return number != null;
        }

        if (_next >= _count || !Loop.MayContinue)
        {
            return false;
        }

        Current = _next++;
        return true;
    }

    /// <summary>Ends, on every way out of the loop: <c>foreach</c> calls it.</summary>
    public readonly void Dispose()
    {
        if (Loop.Iterates())
        {
            NumberIterator.End(_iterator);
        }
    }
}
