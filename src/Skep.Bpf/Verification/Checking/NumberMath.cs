using static Skep.Bpf.Asm.OpCodes;

namespace Skep.Bpf.Verification.Checking;

/// <summary>What arithmetic instructions make of bounds. Where it knows less than it could, it says less: never a number that cannot be is ruled in error.</summary>
internal static class NumberMath
{
    public static Number Compute(int operation, short variant, bool wide, Number a, Number b)
    {
        if (!wide)
        {
            (a, b) = (a.Truncated(4), b.Truncated(4));
        }

        var (aw, bw) = wide ? (a.Wide, b.Wide) : (a.Low, b.Low);
        var most = Interval.All(wide).UMax;
        switch (operation)
        {
            case Add:
                return Make(a.Bits.Add(b.Bits), aw.Add(bw, wide), a.Low.Add(b.Low, false), wide);
            case Sub:
                return Make(a.Bits.Subtract(b.Bits), aw.Subtract(bw, wide), a.Low.Subtract(b.Low, false), wide);
            case Neg:
                return Compute(Sub, 0, wide, Number.Const(0), a);
            case Mul:
                return Make(a.Bits.Multiply(b.Bits), aw.Multiply(bw, wide), a.Low.Multiply(b.Low, false), wide);
            case And:
                return FromBits(a.Bits.And(b.Bits), 0, Math.Min(aw.UMax, bw.UMax), wide);
            case Or:
                return FromBits(a.Bits.Or(b.Bits), Math.Max(aw.UMin, bw.UMin), most, wide);
            case Xor:
                return FromBits(a.Bits.Xor(b.Bits), 0, most, wide);
            case Lsh or Rsh or Arsh when b.IsConst && b.Value < (wide ? 64u : 32u):
                return Shift(operation, (int)b.Value, wide, a, aw);
            case Div when variant == 0:
                return !b.IsConst ? FromBits(Tnum.Unknown, 0, aw.UMax, wide)
                    : b.Value == 0 ? Number.Const(0)
                    : FromBits(Tnum.Unknown, aw.UMin / b.Value, aw.UMax / b.Value, wide);
            case Mod when variant == 0:
                return !b.IsConst ? FromBits(Tnum.Unknown, 0, aw.UMax, wide)
                    : b.Value == 0 || aw.UMax < b.Value ? a
                    : a.IsConst ? Number.Const(a.Value % b.Value)
                    : FromBits(Tnum.Unknown, 0, b.Value - 1, wide);
            case Mov:
                return variant == 0 ? b : b.SignExtended(variant / 8, wide);
            default:
                return wide ? Number.Unknown : Number.OfSize(4);
        }
    }

    /// <summary>Byte swaps: constants and sizes only.</summary>
    public static Number Swap(int width) => Number.OfSize(width / 8);

    private static Number Shift(int operation, int count, bool wide, Number a, Interval i)
    {
        var all = Interval.All(wide);
        switch (operation)
        {
            case Lsh:
                var unsignedFits = i.UMax <= all.UMax >> count;
                var signedFits = i.SMin >= all.SMin >> count && i.SMax <= all.SMax >> count;
                var shifted = new Interval(
                    unsignedFits ? i.UMin << count : 0, unsignedFits ? i.UMax << count : all.UMax,
                    signedFits ? i.SMin << count : all.SMin, signedFits ? i.SMax << count : all.SMax);
                return Make(a.Bits.ShiftLeft(count), shifted, Interval.All(false), wide, lowIsShifted: !wide);
            case Rsh:
                return FromBits(a.Bits.ShiftRight(count), i.UMin >> count, i.UMax >> count, wide);
            default:
                return Make(
                    a.Bits.ShiftRightSigned(count, wide), Interval.Signed(i.SMin >> count, i.SMax >> count, wide), Interval.All(false), wide, lowIsShifted: !wide);
        }
    }

    private static Number FromBits(Tnum bits, ulong min, ulong max, bool wide) =>
        Make(wide ? bits : bits.Cast(4), Interval.Unsigned(min, max, wide), wide ? Interval.All(false) : Interval.Unsigned(min, max, false), wide);

    private static Number Make(Tnum bits, Interval result, Interval low, bool wide, bool lowIsShifted = false) => wide
        ? new Number(bits, result, low).Synced()
        : new Number(bits.Cast(4), Interval.All(true), lowIsShifted ? result : low).Truncated(4);
}
