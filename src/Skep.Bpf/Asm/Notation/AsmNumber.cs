namespace Skep.Bpf.Asm.Notation;

/// <summary>A number as it is written.</summary>
internal readonly record struct AsmNumber(ulong Magnitude, bool Negative, bool Hex, int Column)
{
    /// <summary>As 64 bits; what is written in hexadecimal, or beyond the signed range, is taken bit by bit.</summary>
    public ulong Bits => Negative ? 0 - Magnitude : Magnitude;

    /// <summary>Whether it is a signed number of 32 bits.</summary>
    public bool IsSigned32 => Negative ? Magnitude <= 1UL << 31 : Magnitude <= int.MaxValue;

    /// <summary>An immediate. Hexadecimal numbers may use all 32 bits where that cannot be mistaken.</summary>
    public int Immediate(bool bitsAllowed)
    {
        if (IsSigned32 || (bitsAllowed && Hex && !Negative && Magnitude <= uint.MaxValue))
        {
            return (int)(uint)Bits;
        }

        throw new AsmLineException(Column, bitsAllowed || Magnitude > uint.MaxValue
            ? "expected a number of 32 bits, from -2147483648 to 2147483647 or 0x0 to 0xffffffff"
            : "expected a number from -2147483648 to 2147483647: it is sign-extended to 64 bits. Load a larger one by `rX = NUMBER ll` first");
    }

    /// <summary>An offset in memory or code.</summary>
    public short Offset()
    {
        var fits = Negative ? Magnitude <= 1UL << 15 : Magnitude <= (ulong)short.MaxValue;
        return fits ? (short)Bits : throw new AsmLineException(Column, "expected an offset from -32768 to 32767");
    }
}
