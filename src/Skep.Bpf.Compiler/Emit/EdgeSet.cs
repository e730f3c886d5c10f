namespace Skep.Bpf.Compiler.Emit;

/// <summary>Pairs of registers, in any order: a triangle of bits, or a hash set where that would be large.</summary>
internal sealed class EdgeSet(int registers)
{
    private const int MostInTriangle = 16384;

    private readonly BitSet? _triangle = registers <= MostInTriangle ? new BitSet(registers * (registers + 1) / 2) : null;
    private readonly HashSet<long> _pairs = [];

    /// <summary>True when it was not there.</summary>
    public bool Add(int a, int b) => _triangle?.Add(Place(a, b)) ?? _pairs.Add(Pair(a, b));

    public bool Contains(int a, int b) => _triangle?.Contains(Place(a, b)) ?? _pairs.Contains(Pair(a, b));

    private static int Place(int a, int b) => a > b ? (a * (a + 1) / 2) + b : (b * (b + 1) / 2) + a;

    private static long Pair(int a, int b) => a < b ? ((long)a << 32) | (uint)b : ((long)b << 32) | (uint)a;
}
