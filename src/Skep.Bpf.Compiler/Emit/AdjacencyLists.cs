namespace Skep.Bpf.Compiler.Emit;

/// <summary>For each of the numbers below a count a list of others, in the order in which they were added: chains of cells in shared arrays.</summary>
internal sealed class AdjacencyLists
{
    private const int None = -1;
    private int[] _first = [];
    private int[] _last = [];
    private (int Item, int Next)[] _cells = [];
    private int _count;

    /// <summary>Empties the lists, of which there are so many from now on; the memory is used again.</summary>
    public void Reset(int lists)
    {
        if (_first.Length < lists)
        {
            (_first, _last) = (new int[lists], new int[lists]);
        }

        Array.Fill(_first, None);
        Array.Fill(_last, None);
        _count = 0;
    }

    public void Add(int to, int item)
    {
        if (_count == _cells.Length)
        {
            Array.Resize(ref _cells, Math.Max(_first.Length * 8, _count * 2));
        }

        _cells[_count] = (item, None);
        if (_last[to] == None)
        {
            _first[to] = _count;
        }
        else
        {
            _cells[_last[to]].Next = _count;
        }

        _last[to] = _count++;
    }

    /// <summary>The list of one number, to be gone through; what is added to it meanwhile is gone through too.</summary>
    public List this[int of] => new(this, _first[of]);

    /// <summary>A list that can be gone through once.</summary>
    public struct List(AdjacencyLists lists, int next)
    {
        private int _next = next;

        public int Current { get; private set; }

        public readonly List GetEnumerator() => this;

        public bool MoveNext()
        {
            if (_next == None)
            {
                return false;
            }

            (Current, _next) = lists._cells[_next];
            return true;
        }
    }
}
