using System.Runtime.CompilerServices;

namespace Skep.Bpf.Twin.Maps;

/// <summary>How keys of one size are hashed and compared. Implementations are structs, so the JIT builds a table per shape with both inlined.</summary>
internal unsafe interface IKeyShape
{
    /// <summary>32 well-mixed bits.</summary>
    static abstract uint Hash(byte* key, int size);

    /// <summary>Whether all bytes are equal, padding too, as in the kernel.</summary>
    static abstract bool AreEqual(byte* a, byte* b, int size);
}

/// <summary>Keys of four bytes.</summary>
internal readonly unsafe struct Key4 : IKeyShape
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Hash(byte* key, int size) => KeyMix.Finish(Unsafe.ReadUnaligned<uint>(key) * KeyMix.Factor);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AreEqual(byte* a, byte* b, int size) => Unsafe.ReadUnaligned<uint>(a) == Unsafe.ReadUnaligned<uint>(b);
}

/// <summary>Keys of eight bytes.</summary>
internal readonly unsafe struct Key8 : IKeyShape
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Hash(byte* key, int size) => KeyMix.Finish(KeyMix.Add(0, Unsafe.ReadUnaligned<ulong>(key)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AreEqual(byte* a, byte* b, int size) => Unsafe.ReadUnaligned<ulong>(a) == Unsafe.ReadUnaligned<ulong>(b);
}

/// <summary>Keys of sixteen bytes.</summary>
internal readonly unsafe struct Key16 : IKeyShape
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Hash(byte* key, int size) =>
        KeyMix.Finish(KeyMix.Fold(Unsafe.ReadUnaligned<ulong>(key) + KeyMix.Factor, Unsafe.ReadUnaligned<ulong>(key + 8) ^ KeyMix.Factor));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AreEqual(byte* a, byte* b, int size) =>
        ((Unsafe.ReadUnaligned<ulong>(a) ^ Unsafe.ReadUnaligned<ulong>(b))
        | (Unsafe.ReadUnaligned<ulong>(a + 8) ^ Unsafe.ReadUnaligned<ulong>(b + 8))) == 0;
}

/// <summary>Keys of nine bytes and more: eight at a time, the last eight overlapping those before.</summary>
internal readonly unsafe struct LongKey : IKeyShape
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Hash(byte* key, int size)
    {
        // Pairs of words are multiplied independently of each other, so that a long key does not wait for one product after the other.
        var hash = Unsafe.ReadUnaligned<ulong>(key + size - 8) * KeyMix.Factor;
        for (var i = 0; i < size - 8; i += 16)
        {
            hash ^= KeyMix.Fold(
                Unsafe.ReadUnaligned<ulong>(key + i) + KeyMix.Factor + (uint)i,
                Unsafe.ReadUnaligned<ulong>(key + Math.Min(i + 8, size - 8)) ^ KeyMix.Factor);
        }

        return KeyMix.Finish(hash);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AreEqual(byte* a, byte* b, int size)
    {
        for (var i = 0; i < size - 8; i += 8)
        {
            if (Unsafe.ReadUnaligned<ulong>(a + i) != Unsafe.ReadUnaligned<ulong>(b + i))
            {
                return false;
            }
        }

        return Unsafe.ReadUnaligned<ulong>(a + size - 8) == Unsafe.ReadUnaligned<ulong>(b + size - 8);
    }
}

/// <summary>Keys of one to seven bytes, byte by byte.</summary>
internal readonly unsafe struct ShortKey : IKeyShape
{
    public static uint Hash(byte* key, int size)
    {
        ulong word = 0;
        for (var i = 0; i < size; i++)
        {
            word = (word << 8) | key[i];
        }

        return KeyMix.Finish(KeyMix.Add(0, word));
    }

    public static bool AreEqual(byte* a, byte* b, int size) => new ReadOnlySpan<byte>(a, size).SequenceEqual(new ReadOnlySpan<byte>(b, size));
}

/// <summary>Multiply and fold, two cycles a word; the upper half of the product carries the mixing.</summary>
internal static class KeyMix
{
    public const ulong Factor = 0x9E3779B97F4A7C15;

    /// <summary>The 128-bit product, its halves folded onto each other.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Fold(ulong a, ulong b)
    {
        var high = Math.BigMul(a, b, out var low);
        return high ^ low;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Add(ulong hash, ulong word)
    {
        var product = (hash ^ word) * Factor;
        return product ^ (product >> 32);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Finish(ulong hash) => (uint)((hash * Factor) >> 32);
}
