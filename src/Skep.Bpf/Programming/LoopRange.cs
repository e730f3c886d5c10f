namespace Skep.Bpf.Programming;

/// <summary>The numbers below a count, see <see cref="Loop.Range"/>.</summary>
public struct LoopRange
{
    private readonly uint _count;
    private uint _next;

    internal LoopRange(uint count) => _count = count;

    /// <summary>The current number.</summary>
    public uint Current { get; private set; }

    /// <summary>Itself: <c>foreach</c> begins here.</summary>
    public readonly LoopRange GetEnumerator() => this;

    /// <summary>Goes to the next number; false at the end.</summary>
    public bool MoveNext()
    {
        if (_next >= _count || !Loop.MayContinue)
        {
            return false;
        }

        Current = _next++;
        return true;
    }
}
