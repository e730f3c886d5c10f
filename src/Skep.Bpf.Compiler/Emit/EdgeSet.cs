namespace Skep.Bpf.Compiler.Emit;

/// <summary>Pairs of registers, in any order: a triangle of bits where that is small, else a table of the pairs.</summary>
internal sealed class EdgeSet
{
    private const int MostInTriangle = 2048, FewestPairs = 1024;

    private BitSet _triangle = new(0);
    private bool _isTriangle;

    // By open addressing, 0 for none: no register makes a pair with itself. Never more than half full.
    private ulong[] _pairs = [];
    private int _count;

    /// <summary>Empties the set, for pairs of so many registers from now on; the memory is used again.</summary>
    public void Reset(int registers)
    {
        _isTriangle = registers <= MostInTriangle;
        var bits = registers * (registers + 1) / 2;
        if (_isTriangle && bits > _triangle.Capacity)
        {
            // Those that spilling makes have room too.
            _triangle = new BitSet(bits + (bits / 2));
        }
        else if (!_isTriangle && _pairs.Length == 0)
        {
            _pairs = new ulong[FewestPairs];
        }

        _triangle.Clear();
        Array.Clear(_pairs);
        _count = 0;
    }

    /// <summary>True when it was not there.</summary>
    public bool Add(int a, int b)
    {
        if (_isTriangle)
        {
            return _triangle.Add(Place(a, b));
        }

        var pair = Pair(a, b);
        ref var cell = ref Find(pair);
        if (cell == pair)
        {
            return false;
        }

        cell = pair;
        if (++_count > _pairs.Length / 2)
        {
            Grow();
        }

        return true;
    }

    public bool Contains(int a, int b) => _isTriangle ? _triangle.Contains(Place(a, b)) : Find(Pair(a, b)) != 0;

    private static int Place(int a, int b) => a > b ? (a * (a + 1) / 2) + b : (b * (b + 1) / 2) + a;

    private static ulong Pair(int a, int b) => a < b ? ((ulong)a << 32) | (uint)b : ((ulong)b << 32) | (uint)a;

    /// <summary>Where the pair is, or the empty cell where it would be.</summary>
    private ref ulong Find(ulong pair)
    {
        // Fibonacci hashing: the upper bits depend on all.
        var place = (int)(pair * 0x9E37_79B9_7F4A_7C15 >> 32) & (_pairs.Length - 1);
        while (_pairs[place] != 0 && _pairs[place] != pair)
        {
            place = (place + 1) & (_pairs.Length - 1);
        }

        return ref _pairs[place];
    }

    private void Grow()
    {
        var old = _pairs;
        _pairs = new ulong[old.Length * 2];
        foreach (var pair in old)
        {
            if (pair != 0)
            {
                Find(pair) = pair;
            }
        }
    }
}
