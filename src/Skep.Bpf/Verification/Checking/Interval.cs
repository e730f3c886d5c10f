namespace Skep.Bpf.Verification.Checking;

/// <summary>Bounds of a number of 32 or 64 bits, read without and with sign. A 32-bit one keeps its unsigned bounds below 2^32 and its signed ones in an int.</summary>
internal readonly record struct Interval(ulong UMin, ulong UMax, long SMin, long SMax)
{
    public static Interval All(bool wide) => wide
        ? new(0, ulong.MaxValue, long.MinValue, long.MaxValue)
        : new(0, uint.MaxValue, int.MinValue, int.MaxValue);

    public static Interval Const(ulong value, bool wide) => wide
        ? new(value, value, (long)value, (long)value)
        : new((uint)value, (uint)value, (int)value, (int)value);

    public bool IsEmpty => UMin > UMax || SMin > SMax;

    public bool Contains(Interval b) => b.UMin >= UMin && b.UMax <= UMax && b.SMin >= SMin && b.SMax <= SMax;

    public Interval Intersect(Interval b) => new(Math.Max(UMin, b.UMin), Math.Min(UMax, b.UMax), Math.Max(SMin, b.SMin), Math.Min(SMax, b.SMax));

    public Interval Add(Interval b, bool wide) => Combine(
        (UInt128)UMin + b.UMin, (UInt128)UMax + b.UMax, (Int128)SMin + b.SMin, (Int128)SMax + b.SMax, wide);

    public Interval Subtract(Interval b, bool wide) => Combine(
        unchecked((UInt128)UMin - b.UMax), unchecked((UInt128)UMax - b.UMin), (Int128)SMin - b.SMax, (Int128)SMax - b.SMin, wide);

    public Interval Multiply(Interval b, bool wide)
    {
        Int128[] corners = [(Int128)SMin * b.SMin, (Int128)SMin * b.SMax, (Int128)SMax * b.SMin, (Int128)SMax * b.SMax];
        var all = All(wide);
        var (umin, umax) = ((UInt128)UMin * b.UMin, (UInt128)UMax * b.UMax);
        var (smin, smax) = (corners.Min(), corners.Max());
        var unsignedFits = umax <= all.UMax;
        var signedFits = smin >= all.SMin && smax <= all.SMax;
        return new(unsignedFits ? (ulong)umin : all.UMin, unsignedFits ? (ulong)umax : all.UMax, signedFits ? (long)smin : all.SMin, signedFits ? (long)smax : all.SMax);
    }

    /// <summary>Bounds without sign, and what follows from them for the signed ones.</summary>
    public static Interval Unsigned(ulong min, ulong max, bool wide)
    {
        var all = All(wide);
        return max <= (ulong)all.SMax ? new(min, max, (long)min, (long)max) : new(min, max, all.SMin, all.SMax);
    }

    public static Interval Signed(long min, long max, bool wide)
    {
        var all = All(wide);
        return min >= 0 ? new((ulong)min, (ulong)max, min, max) : new(all.UMin, all.UMax, min, max);
    }

    // Sums that both wrap, or both do not, keep their order.
    private static Interval Combine(UInt128 umin, UInt128 umax, Int128 smin, Int128 smax, bool wide)
    {
        var all = All(wide);
        var bits = wide ? 64 : 32;
        var unsignedFits = umin >> bits == umax >> bits;
        var (wrappedMin, wrappedMax) = (Wrap(smin, wide), Wrap(smax, wide));
        var signedFits = smin - wrappedMin == smax - wrappedMax;
        return new(
            unsignedFits ? (ulong)(umin & all.UMax) : all.UMin,
            unsignedFits ? (ulong)(umax & all.UMax) : all.UMax,
            signedFits ? (long)wrappedMin : all.SMin,
            signedFits ? (long)wrappedMax : all.SMax);
    }

    private static Int128 Wrap(Int128 value, bool wide) => wide ? unchecked((long)value) : unchecked((int)value);
}
