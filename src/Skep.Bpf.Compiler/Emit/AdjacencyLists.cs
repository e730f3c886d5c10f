namespace Skep.Bpf.Compiler.Emit;

/// <summary>For each of a fixed count of numbers a list of others, in the order in which they were added: chains of cells in shared arrays.</summary>
internal sealed class AdjacencyLists
{
    private const int None = -1;
    private readonly int[] _first;
    private readonly int[] _last;
    private (int Item, int Next)[] _cells;
    private int _count;

    public AdjacencyLists(int count)
    {
        (_first, _last) = (new int[count], new int[count]);
        Array.Fill(_first, None);
        Array.Fill(_last, None);
        _cells = new (int, int)[count * 4];
    }

    public void Add(int to, int item)
    {
        if (_count == _cells.Length)
        {
            Array.Resize(ref _cells, Math.Max(64, _count * 2));
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

    public bool IsEmpty(int of) => _first[of] == None;

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
