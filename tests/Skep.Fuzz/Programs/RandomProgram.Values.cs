using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Skep.Bpf.Programming;

namespace Skep.Fuzz.Programs;

/// <summary>What random programs call: spans, references, patterns, enums, generics and every way to write a loop.</summary>
public abstract partial class RandomProgram
{
    public static long Slices(long x, int at)
    {
        Span<byte> buffer = stackalloc byte[32];
        buffer.Fill((byte)at);
        BinaryPrimitives.WriteInt64LittleEndian(buffer[5..], x);
        buffer[..12].CopyTo(buffer[16..]);
        buffer.Slice(8, 4).Clear();
        var words = MemoryMarshal.Cast<byte, long>(buffer);
        var text = (ReadOnlySpan<byte>)buffer;
        return words[at & 3] + (text[..4].SequenceEqual(text[^4..]) ? 1 : 0) + (text.StartsWith("\0\0"u8) ? 2 : 0) + "abcdefgh"u8[at >> 2 & 7];
    }

    public static int CheckedIndex(int x, int y)
    {
        Span<int> buffer = stackalloc int[8];
        buffer[3] = x;
        buffer[7] = y;
        var sum = (uint)x < (uint)buffer.Length ? buffer[x] : 5;
        if (y is >= 0 and < 8)
        {
            sum += buffer[y] + (y > 0 ? buffer[y - 1] : 0);
        }

        return sum + buffer[(int)Math.Min((uint)x, 7)] + buffer[(y & int.MaxValue) % 8];
    }

    public static int OverSpan(int x)
    {
        Span<ushort> buffer = stackalloc ushort[9];
        foreach (ref var value in buffer)
        {
            value = (ushort)(x ^= x << 3);
        }

        var sum = 0;
        foreach (var value in buffer)
        {
            if (value == 3)
            {
                continue;
            }

            sum += value;
        }

        for (var i = buffer.Length - 1; i > 0; i -= 2)
        {
            sum ^= buffer[i] - buffer[i - 1];
        }

        return sum;
    }

    public static long Cursors(long x, long y)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteInt64BigEndian(bytes, x);
        var read = y;
        var cursor = new RandomCursor(ref read, bytes);
        var (a, b) = (cursor.Next(), cursor.Next());
        ref var largest = ref Larger(ref x, ref y);
        largest -= a - b;
        return read + x + y;
    }

    public static int Patterns(int x, long y) => (x, y) switch
    {
        ( < 0, > 0) => 1,
        (0, _) => 2,
        ( > 100 and < 1000, long.MinValue) or (5, 5) => 3,
        (var a, var b) when a == b => a,
        (_, not 7) => 4,
        _ => 5,
    };

    public static long Tuples(long x, int y)
    {
        var pair = (Low: x, High: y);
        (pair.Low, x) = (x + 1, pair.Low ^ y);
        var point = new RandomPoint<short, long>((short)y, x) with { Y = pair.Low };
        return point == new RandomPoint<short, long>((short)pair.High, x) ? 1 : point.X + point.Y;
    }

    public static int Enums(int x)
    {
        var color = (RandomColor)x;
        return color switch
        {
            RandomColor.Red => 9,
            RandomColor.Green or RandomColor.Blue => 10,
            _ when (color & RandomColor.High) != 0 => (int)color,
            _ => (byte)~color,
        };
    }

    public static long StaticAbstract(long x, int y) => Apply<RandomDoubling, long>(x) + Apply<RandomNegating, int>(y);

    public static long Mathematics(long x, int y) =>
        Math.Max(x, y) - Math.Min(y, 77) + Math.Clamp(y, -5, 500) + (long)Math.BigMul((uint)y, (uint)x) + Math.Abs((long)y) + Math.Sign(x);

    public static long Rotations(long x, int y) =>
        (long)BitOperations.RotateRight((ulong)x, y) ^ (long)BitOperations.RotateLeft((uint)y, (int)x) ^ BinaryPrimitives.ReverseEndianness(x) ^ BinaryPrimitives.ReverseEndianness((ushort)y);

    public static long Unaligned(long x, int at)
    {
        Span<byte> buffer = stackalloc byte[24];
        BinaryPrimitives.WriteInt64LittleEndian(buffer[3..], x);
        Unsafe.WriteUnaligned(ref buffer[(at & 7) + 1], (ushort)at);
        return Unsafe.ReadUnaligned<uint>(ref buffer[at >> 3 & 15]) + BinaryPrimitives.ReadInt16BigEndian(buffer[9..]);
    }

    public static long WideRest(long a, long b, int shift)
    {
        var (x, y) = (new UInt128((ulong)a, (ulong)b), new UInt128((ulong)b, (uint)shift));
        var mask = UInt128.MaxValue << (shift & 127);
        return (x & mask) == (y & mask) ? 1 : (x - y) > ~x ? (long)(ulong)(x | y) : (long)(ulong)((x ^ mask) >> 64);
    }

    public static int Downwards(int x)
    {
        var sum = 0;
        for (var i = 9; i >= 0; i -= 3)
        {
            sum = (sum * 5) + (x >> i);
        }

        return sum;
    }

    public static int DataBound(int x)
    {
        var sum = x;
        for (var i = 0; i < (x & 7); i++)
        {
            sum += i ^ sum >> 3;
        }

        return sum;
    }

    public static long Ranged(long x, int rounds)
    {
        foreach (var i in Loop.Range((uint)rounds & 7))
        {
            x = (x ^ i) * 1099511628211;
            if ((x & 0xff) == 7)
            {
                break;
            }
        }

        return x;
    }

    public static int MayContinue(int x)
    {
        var (left, rounds) = ((uint)x & 0xff, 0);
        while (left > 3 && rounds++ < 8 && Loop.MayContinue)
        {
            left = (left * 7) >> 3;
        }

        return (int)left + rounds;
    }

    public static int Goto(int x)
    {
        var i = 0;
    again:
        x = (x >> 1) ^ (i << 4);
        if (++i < 6 && x != 0)
        {
            goto again;
        }

        return x + i;
    }

    public static long Nested(long x)
    {
        for (var i = 0; i < 4; i++)
        {
            for (var j = i; j < 4; j++)
            {
                if (((x >> (i + j)) & 1) == 0)
                {
                    break;
                }

                x += i * j;
            }
        }

        return x;
    }

    private static ref long Larger(ref long a, ref long b)
    {
        if (a > b)
        {
            return ref a;
        }

        return ref b;
    }

    private static T Apply<TRule, T>(T x)
        where TRule : IRandomRule
        where T : unmanaged, IBinaryInteger<T> => TRule.Change(x) + (TRule.IsOdd ? T.One : T.Zero);

    private ref struct RandomCursor(ref long count, Span<byte> rest)
    {
        private readonly ref long _count = ref count;
        private Span<byte> _rest = rest;

        public byte Next()
        {
            _count++;
            var value = _rest[0];
            _rest = _rest[1..];
            return value;
        }
    }
}

/// <summary>A generic record.</summary>
public readonly record struct RandomPoint<TX, TY>(TX X, TY Y)
    where TX : unmanaged
    where TY : unmanaged;

/// <summary>An enum of a byte.</summary>
[Flags]
public enum RandomColor : byte
{
    None = 0,
    Red = 1,
    Green = 2,
    Blue = 4,
    High = 128,
}

internal interface IRandomRule
{
    static abstract bool IsOdd { get; }

    static abstract T Change<T>(T x)
        where T : unmanaged, IBinaryInteger<T>;
}

internal readonly struct RandomDoubling : IRandomRule
{
    public static bool IsOdd => true;

    public static T Change<T>(T x)
        where T : unmanaged, IBinaryInteger<T> => x + x;
}

internal readonly struct RandomNegating : IRandomRule
{
    public static bool IsOdd => false;

    public static T Change<T>(T x)
        where T : unmanaged, IBinaryInteger<T> => ~x;
}
