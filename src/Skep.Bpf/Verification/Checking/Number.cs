namespace Skep.Bpf.Verification.Checking;

/// <summary>What is known of a number: its bits, and its bounds as 64 and as 32 bits. All that one part tells of another has been drawn.</summary>
internal readonly record struct Number(Tnum Bits, Interval Wide, Interval Low)
{
    public static Number Unknown { get; } = new(Tnum.Unknown, Interval.All(true), Interval.All(false));

    public static Number Const(ulong value) => new(Tnum.Const(value), Interval.Const(value, true), Interval.Const(value, false));

    /// <summary>Anything that fits the given number of bytes, filled up with zeros.</summary>
    public static Number OfSize(int bytes) => bytes == 8 ? Unknown : Unknown.Truncated(bytes);

    public static Number Between(long min, long max) => (Unknown with { Wide = Interval.Signed(min, max, true) }).Synced();

    public bool IsConst => Bits.IsConst;

    public ulong Value => Bits.Value;

    /// <summary>No number fits: the path that led here does not exist.</summary>
    public bool IsEmpty => Wide.IsEmpty || Low.IsEmpty;

    public bool Contains(Number b) => Bits.Contains(b.Bits) && Wide.Contains(b.Wide) && Low.Contains(b.Low);

    /// <summary>The low bytes, filled up with zeros.</summary>
    public Number Truncated(int bytes)
    {
        if (bytes == 8)
        {
            return this;
        }

        var bits = Bits.Cast(bytes);
        if (bytes == 4)
        {
            return new Number(bits, Interval.Unsigned(Low.UMin, Low.UMax, true), Low).Synced();
        }

        var mask = (1UL << (8 * bytes)) - 1;
        var fits = (Wide.UMin & ~mask) == (Wide.UMax & ~mask);
        var (min, max) = fits ? (Wide.UMin & mask, Wide.UMax & mask) : (0UL, mask);
        return new Number(bits, Interval.Unsigned(min, max, true), Interval.Unsigned(min, max, false)).Synced();
    }

    /// <summary>The low bytes, filled up with their sign; to 32 bits where <paramref name="wide"/> is false.</summary>
    public Number SignExtended(int bytes, bool wide)
    {
        var (min, max) = (-(1L << (8 * bytes - 1)), (1L << (8 * bytes - 1)) - 1);
        var source = bytes == 4 || !wide ? Low : Wide;
        var (low, high) = source.SMin >= min && source.SMax <= max ? (source.SMin, source.SMax) : (min, max);
        if (IsConst)
        {
            low = high = bytes switch { 1 => (sbyte)Value, 2 => (short)Value, _ => (int)Value };
        }

        var result = Between(low, high);
        return wide ? result : result.Truncated(4);
    }

    /// <summary>Draws from each part what it tells of the others (<c>reg_bounds_sync</c>).</summary>
    public Number Synced()
    {
        var n = this;
        for (var round = 0; round < 3; round++)
        {
            var before = n;
            n = new Number(n.Bits, Deduce(FromBits(n.Wide, n.Bits, true), true), Deduce(FromBits(n.Low, n.Bits.Cast(4), false), false));
            n = n with { Low = Deduce(LowOf(n.Wide, n.Low), false) };
            n = n with { Wide = Deduce(WideOf(n.Wide, n.Low), true) };
            if (n.Wide.IsEmpty || n.Low.IsEmpty)
            {
                return n;
            }

            n = n with { Bits = BitsOf(n) };
            if (n == before)
            {
                break;
            }
        }

        return n;
    }

    private static Tnum BitsOf(Number n)
    {
        var wide = n.Bits.Intersect(Tnum.Range(n.Wide.UMin, n.Wide.UMax));
        var low = wide.Cast(4).Intersect(Tnum.Range(n.Low.UMin, n.Low.UMax).Cast(4));
        const ulong High = 0xffff_ffff_0000_0000;
        return new Tnum((wide.Value & High) | low.Value, (wide.Mask & High) | low.Mask);
    }

    private static Interval FromBits(Interval i, Tnum bits, bool wide)
    {
        var sign = wide ? 1UL << 63 : 1UL << 31;
        var (smin, smax) = (bits.Value | (bits.Mask & sign), bits.Value | (bits.Mask & ~sign));
        return i.Intersect(wide
            ? new(bits.Value, bits.Value | bits.Mask, (long)smin, (long)smax)
            : new(bits.Value, bits.Value | bits.Mask, (int)(uint)smin, (int)(uint)smax));
    }

    private static Interval Deduce(Interval i, bool wide)
    {
        var (umin, umax, smin, smax) = i;
        long Sign(ulong u) => wide ? (long)u : (int)(uint)u;
        ulong Plain(long s) => wide ? (ulong)s : (uint)(int)s;
        if (Sign(umin) <= Sign(umax))
        {
            (smin, smax) = (Math.Max(smin, Sign(umin)), Math.Min(smax, Sign(umax)));
        }

        if (Plain(smin) <= Plain(smax))
        {
            (umin, umax) = (Math.Max(umin, Plain(smin)), Math.Min(umax, Plain(smax)));
        }
        else if (smin < 0 && smax >= 0)
        {
            // The signed bounds are two pieces without sign; often only one of them is left.
            if (umax < Plain(smin))
            {
                (smin, umax) = (Math.Max(smin, 0), Math.Min(umax, Plain(smax)));
            }
            else if (umin > Plain(smax))
            {
                (smax, umin) = (-1, Math.Max(umin, Plain(smin)));
            }
        }

        return new(umin, umax, smin, smax);
    }

    private static Interval LowOf(Interval wide, Interval low)
    {
        if (wide.UMin >> 32 == wide.UMax >> 32)
        {
            low = low.Intersect(Part(wide.UMin, wide.UMax));
        }

        return wide.SMin >> 32 == wide.SMax >> 32 ? low.Intersect(Part((ulong)wide.SMin, (ulong)wide.SMax)) : low;

        static Interval Part(ulong min, ulong max)
        {
            var (umin, umax) = ((uint)min, (uint)max);
            return (int)umin <= (int)umax ? new(umin, umax, (int)umin, (int)umax) : new(umin, umax, int.MinValue, int.MaxValue);
        }
    }

    private static Interval WideOf(Interval wide, Interval low)
    {
        const ulong High = 0xffff_ffff_0000_0000;
        var result = new Interval(
            Math.Max(wide.UMin, (wide.UMin & High) | low.UMin),
            Math.Min(wide.UMax, (wide.UMax & High) | low.UMax),
            Math.Max(wide.SMin, (long)(((ulong)wide.SMin & High) | low.UMin)),
            Math.Min(wide.SMax, (long)(((ulong)wide.SMax & High) | low.UMax)));
        return wide.SMin >= int.MinValue && wide.SMax <= int.MaxValue
            ? result with { SMin = Math.Max(result.SMin, low.SMin), SMax = Math.Min(result.SMax, low.SMax) }
            : result;
    }
}
