using System.Buffers.Binary;
using static Skep.Bpf.Asm.OpCodes;

namespace Skep.Bpf.Twin.Interpretation;

/// <summary>
/// What the arithmetic instructions compute (RFC 9669 section 4.1 and 4.2). The CLR's own rules are kept out of it:
/// division by zero gives 0, the remainder by zero is the dividend, the smallest number over -1 is itself, shift counts are masked.
/// </summary>
internal static class Arithmetic
{
    /// <summary>64-bit operations; null when there is no such instruction.</summary>
    /// <param name="operation">Upper four bits of the opcode.</param>
    /// <param name="variant">The offset: 1 for signed division, a width for sign-extending moves, else 0.</param>
    /// <param name="a">Destination.</param>
    /// <param name="b">Source; an immediate is sign-extended.</param>
    public static ulong? Alu64(int operation, short variant, ulong a, ulong b) => (operation, variant) switch
    {
        (Add, 0) => a + b,
        (Sub, 0) => a - b,
        (Mul, 0) => a * b,
        (Div, 0) => b == 0 ? 0 : a / b,
        (Div, 1) => (ulong)Quotient((long)a, (long)b),
        (Or, 0) => a | b,
        (And, 0) => a & b,
        (Lsh, 0) => a << (int)(b & 63),
        (Rsh, 0) => a >> (int)(b & 63),
        (Neg, 0) => 0 - a,
        (Mod, 0) => b == 0 ? a : a % b,
        (Mod, 1) => (ulong)Remainder((long)a, (long)b),
        (Xor, 0) => a ^ b,
        (Mov, 0) => b,
        (Mov, 8) => (ulong)(sbyte)b,
        (Mov, 16) => (ulong)(short)b,
        (Mov, 32) => (ulong)(int)b,
        (Arsh, 0) => (ulong)((long)a >> (int)(b & 63)),
        _ => null,
    };

    /// <summary>32-bit operations, whose result fills the upper half with zeros; null when there is no such instruction.</summary>
    public static uint? Alu32(int operation, short variant, uint a, uint b) => (operation, variant) switch
    {
        (Add, 0) => a + b,
        (Sub, 0) => a - b,
        (Mul, 0) => a * b,
        (Div, 0) => b == 0 ? 0 : a / b,
        (Div, 1) => (uint)Quotient((int)a, (int)b),
        (Or, 0) => a | b,
        (And, 0) => a & b,
        (Lsh, 0) => a << (int)(b & 31),
        (Rsh, 0) => a >> (int)(b & 31),
        (Neg, 0) => 0 - a,
        (Mod, 0) => b == 0 ? a : a % b,
        (Mod, 1) => (uint)Remainder((int)a, (int)b),
        (Xor, 0) => a ^ b,
        (Mov, 0) => b,
        (Mov, 8) => (uint)(sbyte)b,
        (Mov, 16) => (uint)(short)b,
        (Arsh, 0) => (uint)((int)a >> (int)(b & 31)),
        _ => null,
    };

    /// <summary>The low bits in another byte order, the others zero; null for a width that does not exist.</summary>
    /// <param name="value">Destination.</param>
    /// <param name="width">16, 32 or 64 bits.</param>
    /// <param name="swap">False to cut only: to little-endian order, which memory has already.</param>
    public static ulong? ByteOrder(ulong value, int width, bool swap) => width switch
    {
        16 => swap ? BinaryPrimitives.ReverseEndianness((ushort)value) : (ushort)value,
        32 => swap ? BinaryPrimitives.ReverseEndianness((uint)value) : (uint)value,
        64 => swap ? BinaryPrimitives.ReverseEndianness(value) : value,
        _ => null,
    };

    /// <summary>Whether a conditional jump is taken; null when there is no such condition. 32-bit operands come zero-extended for unsigned conditions.</summary>
    public static bool? Holds(int condition, ulong a, ulong b) => condition switch
    {
        Jeq => a == b,
        Jne => a != b,
        Jgt => a > b,
        Jge => a >= b,
        Jlt => a < b,
        Jle => a <= b,
        Jset => (a & b) != 0,
        Jsgt => (long)a > (long)b,
        Jsge => (long)a >= (long)b,
        Jslt => (long)a < (long)b,
        Jsle => (long)a <= (long)b,
        _ => null,
    };

    /// <summary>As <see cref="Holds"/> on the lower halves.</summary>
    public static bool? Holds32(int condition, uint a, uint b) => condition is Jsgt or Jsge or Jslt or Jsle
        ? Holds(condition, (ulong)(int)a, (ulong)(int)b)
        : Holds(condition, a, b);

    private static long Quotient(long a, long b) => b switch
    {
        0 => 0,
        -1 => unchecked(-a), // The CLR throws on the smallest number over -1.
        _ => a / b,
    };

    // Two 32-bit numbers, divided as 64-bit ones: the one overflow wraps when the result is cut.
    private static long Remainder(long a, long b) => b switch
    {
        0 => a,
        -1 => 0,
        _ => a % b,
    };
}
