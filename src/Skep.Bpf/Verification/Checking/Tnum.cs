using System.Numerics;

namespace Skep.Bpf.Verification.Checking;

/// <summary>
/// A number of which some bits are known (<c>kernel/bpf/tnum.c</c>): a bit set in <paramref name="Mask"/> is unknown, all others are those of
/// <paramref name="Value"/>.
/// </summary>
internal readonly record struct Tnum(ulong Value, ulong Mask)
{
    public static Tnum Unknown => new(0, ulong.MaxValue);

    public static Tnum Const(ulong value) => new(value, 0);

    public bool IsConst => Mask == 0;

    /// <summary>The least that holds every number from <paramref name="min"/> to <paramref name="max"/>: the bits above the first difference are known.</summary>
    public static Tnum Range(ulong min, ulong max)
    {
        var bits = 64 - BitOperations.LeadingZeroCount(min ^ max);
        if (bits == 64)
        {
            return Unknown;
        }

        var delta = (1UL << bits) - 1;
        return new(min & ~delta, delta);
    }

    public Tnum Add(Tnum b)
    {
        var sm = Mask + b.Mask;
        var sv = Value + b.Value;
        var mu = (sm + sv) ^ sv | Mask | b.Mask;
        return new(sv & ~mu, mu);
    }

    public Tnum Subtract(Tnum b)
    {
        var dv = Value - b.Value;
        var mu = (dv + Mask) ^ (dv - b.Mask) | Mask | b.Mask;
        return new(dv & ~mu, mu);
    }

    public Tnum And(Tnum b)
    {
        var v = Value & b.Value;
        return new(v, (Value | Mask) & (b.Value | b.Mask) & ~v);
    }

    public Tnum Or(Tnum b)
    {
        var v = Value | b.Value;
        return new(v, (Mask | b.Mask) & ~v);
    }

    public Tnum Xor(Tnum b)
    {
        var mu = Mask | b.Mask;
        return new((Value ^ b.Value) & ~mu, mu);
    }

    public Tnum Multiply(Tnum b)
    {
        var a = this;
        var value = Const(a.Value * b.Value);
        var mask = Const(0);
        while (a.Value != 0 || a.Mask != 0)
        {
            if ((a.Value & 1) != 0)
            {
                mask = mask.Add(new(0, b.Mask));
            }
            else if ((a.Mask & 1) != 0)
            {
                mask = mask.Add(new(0, b.Value | b.Mask));
            }

            a = a.ShiftRight(1);
            b = b.ShiftLeft(1);
        }

        return value.Add(mask);
    }

    public Tnum ShiftLeft(int count) => new(Value << count, Mask << count);

    public Tnum ShiftRight(int count) => new(Value >> count, Mask >> count);

    public Tnum ShiftRightSigned(int count, bool wide) => wide
        ? new((ulong)((long)Value >> count), (ulong)((long)Mask >> count))
        : new((uint)((int)Value >> count), (uint)((int)Mask >> count));

    /// <summary>What both know; only for numbers that are in both.</summary>
    public Tnum Intersect(Tnum b)
    {
        var mu = Mask & b.Mask;
        return new((Value | b.Value) & ~mu, mu);
    }

    /// <summary>Cut to the low bytes.</summary>
    public Tnum Cast(int bytes)
    {
        var mask = bytes == 8 ? ulong.MaxValue : (1UL << (8 * bytes)) - 1;
        return new(Value & mask, Mask & mask);
    }

    /// <summary>Whether every number of <paramref name="b"/> is one of these.</summary>
    public bool Contains(Tnum b) => (b.Mask & ~Mask) == 0 && Value == (b.Value & ~Mask);

    /// <summary>Whether the known bits of both differ: no number is in both.</summary>
    public bool Contradicts(Tnum b) => ((Value ^ b.Value) & ~Mask & ~b.Mask) != 0;
}
