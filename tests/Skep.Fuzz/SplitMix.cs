namespace Skep.Fuzz;

/// <summary>SplitMix64: fast, seeded, the same everywhere; a run is repeated by its seed.</summary>
public struct SplitMix(ulong seed)
{
    private ulong _state = seed;

    /// <summary>All 64 bits.</summary>
    public ulong Next()
    {
        _state += 0x9E3779B97F4A7C15;
        var z = _state;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }

    /// <summary>A number below <paramref name="bound"/>.</summary>
    public int Below(int bound) => (int)(((Next() >> 32) * (ulong)bound) >> 32);
}
