using static Skep.Bpf.Asm.OpCodes;

namespace Skep.Bpf.Verification.Checking;

/// <summary>What a comparison tells of the two numbers on each of its ways.</summary>
internal static class NumberRefinement
{
    private const int Clear = 0x100; // (a & b) == 0, the other way of Jset

    /// <summary>Narrows both; false when no numbers go this way.</summary>
    public static bool Refine(int condition, bool taken, bool wide, ref Number a, ref Number b)
    {
        switch (taken ? condition : Inverse(condition))
        {
            case Jeq:
                return Equal(wide, ref a, ref b);
            case Jne:
                return Differ(wide, ref a, b) && Differ(wide, ref b, a);
            case Jset:
                return BitsSet(wide, ref a, b);
            case Clear:
                return BitsClear(wide, ref a, b);
            case Jlt:
                return Order(wide, signed: false, strict: true, ref a, ref b);
            case Jle:
                return Order(wide, signed: false, strict: false, ref a, ref b);
            case Jgt:
                return Order(wide, signed: false, strict: true, ref b, ref a);
            case Jge:
                return Order(wide, signed: false, strict: false, ref b, ref a);
            case Jslt:
                return Order(wide, signed: true, strict: true, ref a, ref b);
            case Jsle:
                return Order(wide, signed: true, strict: false, ref a, ref b);
            case Jsgt:
                return Order(wide, signed: true, strict: true, ref b, ref a);
            default:
                return Order(wide, signed: true, strict: false, ref b, ref a);
        }
    }

    public static int Inverse(int condition) => condition switch
    {
        Jeq => Jne,
        Jne => Jeq,
        Jset => Clear,
        Jgt => Jle,
        Jge => Jlt,
        Jlt => Jge,
        Jle => Jgt,
        Jsgt => Jsle,
        Jsge => Jslt,
        Jslt => Jsge,
        _ => Jsgt,
    };

    private static Interval Part(Number n, bool wide) => wide ? n.Wide : n.Low;

    private static bool Set(bool wide, ref Number n, Interval part)
    {
        if (part.IsEmpty)
        {
            return false;
        }

        n = (wide ? n with { Wide = n.Wide.Intersect(part) } : n with { Low = n.Low.Intersect(part) }).Synced();
        return !n.IsEmpty;
    }

    private static bool Equal(bool wide, ref Number a, ref Number b)
    {
        var (x, y) = wide ? (a.Bits, b.Bits) : (a.Bits.Cast(4), b.Bits.Cast(4));
        if (x.Contradicts(y))
        {
            return false;
        }

        var bits = x.Intersect(y);
        a = a with { Bits = With(a.Bits, bits, wide) };
        b = b with { Bits = With(b.Bits, bits, wide) };
        var part = Part(a, wide).Intersect(Part(b, wide));
        return Set(wide, ref a, part) && Set(wide, ref b, part);
    }

    private static Tnum With(Tnum old, Tnum part, bool wide)
    {
        const ulong High = 0xffff_ffff_0000_0000;
        return wide ? part : new Tnum((old.Value & High) | part.Value, (old.Mask & High) | part.Mask);
    }

    private static bool Differ(bool wide, ref Number a, Number b)
    {
        var (x, y) = (Part(a, wide), Part(b, wide));
        if (y.UMin != y.UMax)
        {
            return true;
        }

        return Set(wide, ref a, x with
        {
            UMin = x.UMin == y.UMin ? x.UMin + (x.UMin == ulong.MaxValue ? 0u : 1u) : x.UMin,
            UMax = x.UMax == y.UMin ? x.UMax - (x.UMax == 0 ? 0u : 1u) : x.UMax,
            SMin = x.SMin == y.SMin && x.SMin != long.MaxValue ? x.SMin + 1 : x.SMin,
            SMax = x.SMax == y.SMin && x.SMax != long.MinValue ? x.SMax - 1 : x.SMax,
        }) && (x.UMin != x.UMax || x.UMin != y.UMin);
    }

    private static bool Order(bool wide, bool signed, bool strict, ref Number low, ref Number high)
    {
        var (x, y) = (Part(low, wide), Part(high, wide));
        if (signed)
        {
            if (strict ? x.SMin >= y.SMax : x.SMin > y.SMax)
            {
                return false;
            }

            var step = strict ? 1 : 0;
            return Set(wide, ref low, x with { SMax = Math.Min(x.SMax, y.SMax - step) }) && Set(wide, ref high, y with { SMin = Math.Max(y.SMin, x.SMin + step) });
        }

        if (strict ? x.UMin >= y.UMax : x.UMin > y.UMax)
        {
            return false;
        }

        var one = strict ? 1UL : 0;
        return Set(wide, ref low, x with { UMax = Math.Min(x.UMax, y.UMax - one) }) && Set(wide, ref high, y with { UMin = Math.Max(y.UMin, x.UMin + one) });
    }

    private static bool BitsSet(bool wide, ref Number a, Number b)
    {
        var (x, y) = wide ? (a.Bits, b.Bits) : (a.Bits.Cast(4), b.Bits.Cast(4));
        if (((x.Value | x.Mask) & (y.Value | y.Mask)) == 0)
        {
            return false;
        }

        if (y.IsConst && ulong.IsPow2(y.Value))
        {
            a = (a with { Bits = new Tnum(a.Bits.Value | y.Value, a.Bits.Mask & ~y.Value) }).Synced();
        }

        return !a.IsEmpty;
    }

    private static bool BitsClear(bool wide, ref Number a, Number b)
    {
        var (x, y) = wide ? (a.Bits, b.Bits) : (a.Bits.Cast(4), b.Bits.Cast(4));
        if ((x.Value & y.Value) != 0)
        {
            return false;
        }

        a = (a with { Bits = new Tnum(a.Bits.Value & ~y.Value, a.Bits.Mask & ~y.Value) }).Synced();
        return !a.IsEmpty;
    }
}
