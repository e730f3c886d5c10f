using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;

namespace Skep.Fuzz.Programs;

/// <summary>What random programs call that becomes a function: of its own, global, called back, or a program of its own.</summary>
public abstract unsafe partial class RandomProgram
{
    public readonly ProgramArray<XdpContext, XdpAction> Next = new(4) { [0] = new RandomTail(0x5a), [2] = new RandomTail(0x33) };
    private readonly Func<int, int, int> _combine = static (a, b) => (a * 31) ^ b;
    private readonly LoopBody<RandomTotals> _kept = Triple;
    private readonly int _step = 3;

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static long FunctionOfNumbers(long a, int b, long c, int d) => b > 7 ? a + (short)b + c - (byte)d : (a << 40) ^ b ^ c ^ (sbyte)d;

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static int FunctionOfReference(ref RandomPair pair, int by)
    {
        pair.B += by;
        pair.C = (short)(pair.C + by);
        return pair.A > by ? pair.B : pair.D;
    }

    public static long FunctionOfStruct(ref RandomPair pair, int times)
    {
        var turned = Turn(pair, times);
        pair = Turn(turned, -times);
        return turned.A + pair.C;
    }

    public static int FunctionsInFunctions(int a, int b) => Outer(a, b) - Outer(b, 3);

    public int FunctionOfObject(int x) => Stepped(x) + Stepped(x >> 5);

    [GlobalFunction]
    public static int GlobalOfNumbers(int a, long b) => (int)((a ^ b) >> (a & 7)) - (int)b;

    [GlobalFunction]
    public static long GlobalOfReference(ref RandomPair pair, long by)
    {
        pair.A ^= by;
        pair.D += (byte)by;
        return pair.A + pair.B;
    }

    public int Delegates(int a, int b)
    {
        delegate*<int, int> pointer = &Halve;
        return _combine(a, b) + Twice(static x => x + 3, a) + Twice(Halve, b) + pointer(a) + Local(b);

        static int Local(int x) => x > 3 ? x : -x;
    }

    public static long CalledBack(long seed, int limit)
    {
        var totals = new RandomTotals { Sum = seed, Limit = limit & 31 };
        var rounds = Loop.Run(20, static (index, ref totals) => Count(index, ref totals), ref totals);
        return totals.Sum + rounds;
    }

    public long CalledBackWithObject(long seed, int rounds)
    {
        var totals = new RandomTotals { Sum = seed };
        Loop.Run((uint)rounds & 7, (index, ref totals) => AddStep(index, ref totals), ref totals);
        Loop.Run((uint)rounds & 3, _kept, ref totals);
        return totals.Sum;
    }

    public static int CalledBackInside(int seed, int limit)
    {
        var pairs = seed;
        var outer = new RandomOuter { Pairs = ref pairs, Limit = (uint)limit & 15 };
        Loop.Run(17, static (row, ref outer) => Row(row, ref outer), ref outer);
        return pairs ^ (int)outer.Rows;
    }

    public long Entries(long x)
    {
        var totals = new RandomTotals { Sum = x };
        var visited = Table.ForEach(static (in key, ref value, ref totals) => Visit(in key, ref value, ref totals), ref totals);
        return totals.Sum + visited;
    }

    private static int Halve(int x) => x / 2;

    private static int Twice(Func<int, int> change, int x) => change(change(x));

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static RandomPair Turn(RandomPair pair, int times)
    {
        pair.D++;
        return times > 0 ? new RandomPair { A = pair.B, B = (int)pair.A, C = pair.C } : pair;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static int Outer(int a, int b) => a > b ? Inner(a, b) + Inner(b, a) : Inner(a, -1);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static int Inner(int a, int b) => (a * 31) ^ (b >> 3);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private int Stepped(int x)
    {
        Shared.Value.Rest += _step;
        return x + _step;
    }

    private LoopControl AddStep(uint index, ref RandomTotals totals)
    {
        totals.Sum += index * (uint)_step;
        return totals.Sum == 100 ? LoopControl.Break : LoopControl.Continue;
    }

    private static LoopControl Triple(uint index, ref RandomTotals totals)
    {
        totals.Sum = (totals.Sum * 3) - index;
        return LoopControl.Continue;
    }

    private static LoopControl Count(uint index, ref RandomTotals totals)
    {
        totals.Sum = (totals.Sum * 6364136223846793005) + index;
        return totals.Limit != 0 && index == (uint)totals.Limit ? LoopControl.Break : LoopControl.Continue;
    }

    private static LoopControl Row(uint row, ref RandomOuter outer)
    {
        var inner = new RandomTotals { Limit = (int)row };
        Loop.Run(3, static (column, ref inner) =>
        {
            inner.Sum += (column ^ (uint)inner.Limit) & 1;
            return column > (uint)inner.Limit ? LoopControl.Break : LoopControl.Continue;
        }, ref inner);
        outer.Pairs += (int)inner.Sum;
        outer.Rows++;
        return row >= outer.Limit ? LoopControl.Break : LoopControl.Continue;
    }

    // Sums only: the engines hold the entries in different orders.
    private static LoopControl Visit(in RandomPair key, ref long value, ref RandomTotals totals)
    {
        totals.Sum += value + key.A + key.D;
        value++;
        return LoopControl.Continue;
    }
}

/// <summary>Ends the chain of a random program.</summary>
public sealed unsafe class RandomTail(byte xor) : XdpProgram
{
    public override XdpAction Run(ref XdpContext context)
    {
        var data = context.Data;
        if (data + ProgramGenerator.PacketSize > context.DataEnd)
        {
            return XdpAction.Aborted;
        }

        data[ProgramGenerator.PacketSize - 1] ^= xor;
        return data[3] > 100 ? XdpAction.Tx : XdpAction.Pass;
    }
}

/// <summary>What rounds share.</summary>
public struct RandomTotals
{
    public long Sum;
    public int Limit;
}

/// <summary>What rounds share by reference.</summary>
public ref struct RandomOuter
{
    public ref int Pairs;
    public uint Limit;
    public uint Rows;
}
