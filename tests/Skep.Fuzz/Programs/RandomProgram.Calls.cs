using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Numerics;
using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;

namespace Skep.Fuzz.Programs;

/// <summary>
/// What random programs call: a method per feature of the language. The generator takes every public method here that returns a number, and gives it
/// random expressions for numbers and its own variables for references.
/// </summary>
public abstract partial class RandomProgram
{
    public readonly Global<RandomShared> Shared = new();
    private readonly ImmutableArray<RandomStage> _stages = [new AddingStage(3), new MaskingStage(0x7fff_ffff), new AddingStage(-1), new TurningStage(5)];
    private readonly RandomNode _tree = new(7, new(3, null, null, 11), new(100, new(50, null, null, 5), new(200, null, null, -9), 0), 0);
    private readonly int[] _table = [.. Enumerable.Range(0, 40).Select(static i => (i * i * 7919) - 5000)];

    private static ReadOnlySpan<byte> Bytes => [9, 1, 255, 128, 127, 0, 3, 77, 200, 5, 6, 7, 8, 64, 32, 16];

    private static ReadOnlySpan<ushort> Words => [1, 65535, 32768, 7, 500, 600, 700, 800];

    private static ReadOnlySpan<long> Longs => [long.MinValue, -1, 0, 0x1234_5678_9abc_def0];

    public long AtomicLong(long x, int which)
    {
        ref var place = ref Shared.Value.Wide;
        return (which & 7) switch
        {
            0 => Interlocked.Add(ref place, x),
            1 => Interlocked.Exchange(ref place, x),
            2 => Interlocked.And(ref place, x),
            3 => Interlocked.Or(ref place, x),
            4 => Interlocked.Increment(ref place),
            5 => Interlocked.CompareExchange(ref place, x, 0),
            _ => Interlocked.Decrement(ref place),
        };
    }

    public int AtomicInt(int x)
    {
        ref var place = ref Shared.Value.Narrow;
        Interlocked.Add(ref place, x);
        return (x & 1) == 0 ? Interlocked.CompareExchange(ref place, 5, x) : Interlocked.Exchange(ref place, x >> 1);
    }

    public long Pipeline(long x)
    {
        foreach (var stage in _stages)
        {
            x = stage.Apply(x);
            if (x == 42)
            {
                break;
            }
        }

        return x;
    }

    public int Tree(int x)
    {
        var node = _tree;
        while (node.Left is { } left && node.Right is { } right)
        {
            node = x < node.Threshold ? left : right;
        }

        return node.Value;
    }

    public int FrozenTable(int x) => (uint)x < (uint)_table.Length ? _table[x] : _table[x & 31];

    public static long Tables(int x) => Bytes[x & 15] + Words[(x >> 4) & 7] - Longs[(x >> 7) & 3];

    public static int Cells(ref RandomCells cells, int x, int value)
    {
        cells[x & 15] += (ushort)value;
        Span<ushort> all = cells;
        var sum = 0;
        for (var i = 0; i < all.Length; i += 3)
        {
            sum += all[i];
        }

        return sum - cells[(x >> 4) & 15];
    }

    public static long OnStack(long x, int at)
    {
        Span<byte> buffer = stackalloc byte[24];
        BinaryPrimitives.WriteInt64BigEndian(buffer[3..], x);
        BinaryPrimitives.WriteInt32LittleEndian(buffer[13..], at);
        buffer[at & 7] ^= 0x55;
        return BinaryPrimitives.ReadInt64LittleEndian(buffer[5..]) ^ buffer[(at >> 3) & 15];
    }

    public static long WideSum(long a, long b, int shift)
    {
        var x = new UInt128((ulong)a, (ulong)b) + (UInt128)(ulong)a;
        x ^= x << (shift & 127);
        return (long)(ulong)(x >> (shift >> 7 & 127));
    }

    public static int WideOrder(long a, long b)
    {
        var (x, y) = (new Int128((ulong)a, (ulong)b), new Int128((ulong)b, (ulong)a));
        return x < y ? 1 : x == y ? 2 : x - y > Int128.Zero ? 3 : 4;
    }

    public static int Bits(long a, int b) =>
        BitOperations.PopCount((ulong)a) + BitOperations.LeadingZeroCount((uint)b) - BitOperations.TrailingZeroCount(a) + BitOperations.Log2((uint)b);

    public static long GenericLong(long a, long b) => Blend(a, b);

    public static int GenericInt(int a, int b) => Blend(a, b);

    public static int GenericShort(int a, int b) => Blend((short)a, (short)b);

    public static int Dense(int x) => (x & 31) switch
    {
        0 => 5,
        1 => x,
        2 or 3 => 9,
        4 => -x,
        5 => 1,
        6 => 2,
        7 => 3,
        8 or 9 or 10 => x >> 3,
        15 => 0,
        16 => 77,
        20 => 78,
        _ => 4,
    };

    public static int Optional(int x)
    {
        int? maybe = (x & 3) == 0 ? null : x >> 2;
        return (maybe ?? 17) + (maybe.HasValue ? 1 : 0);
    }

    public static long Search(long x)
    {
        var steps = 0;
        for (var i = 0; i < 8; i++)
        {
            if (((x >> i) & 1) == 0)
            {
                continue;
            }

            steps += i;
            if (steps > 12)
            {
                break;
            }
        }

        do
        {
            x >>= 1;
            steps++;
        }
        while (x > 0 && steps < 9);
        return x + steps;
    }

    private static T Blend<T>(T a, T b)
        where T : unmanaged, IBinaryInteger<T> => a > b ? a - b : (a ^ b) + T.One;
}

/// <summary>Memory that random programs change atomically.</summary>
public struct RandomShared
{
    public long Wide;
    public int Narrow;
    public int Rest;
}

[InlineArray(16)]
public struct RandomCells
{
    private ushort _first;
}

/// <summary>A node of a frozen tree.</summary>
public sealed class RandomNode(int threshold, RandomNode? left, RandomNode? right, int value)
{
    public int Threshold => threshold;

    public RandomNode? Left => left;

    public RandomNode? Right => right;

    public int Value => value;
}

/// <summary>A step of a frozen pipeline.</summary>
public abstract class RandomStage
{
    public abstract long Apply(long x);
}

internal sealed class AddingStage(long by) : RandomStage
{
    public override long Apply(long x) => x + by;
}

internal sealed class MaskingStage(long mask) : RandomStage
{
    public override long Apply(long x) => x < 0 ? x & mask : x;
}

internal sealed class TurningStage(int by) : RandomStage
{
    public override long Apply(long x) => (long)BitOperations.RotateLeft((ulong)x, by);
}
