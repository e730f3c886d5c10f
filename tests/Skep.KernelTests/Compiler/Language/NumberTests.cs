using System.Buffers.Binary;
using System.Numerics;
using Skep.Bpf.Programming;

namespace Skep.KernelTests.Compiler.Language;

/// <summary>Numbers beyond the machine's own: 128 bits, bit operations, mathematics, conversions.</summary>
public unsafe class NumberTests
{
    [KernelFact]
    public void Addresses_of_128_bits_are_compared_masked_shifted_and_added() => WordsProgram.Check(() => new Wide(), 200);

    [KernelFact]
    public void Signed_numbers_of_128_bits_are_ordered() => WordsProgram.Check(() => new SignedWide(), 200);

    [KernelFact]
    public void Bit_operations_are_those_of_the_class_library() => WordsProgram.Check(() => new Bits(), 200);

    [KernelFact]
    public void Mathematics_of_integers_works() => WordsProgram.Check(() => new Mathematics(), 200);

    [KernelFact]
    public void Native_integers_have_64_bits() => WordsProgram.Check(() => new Native(), 100);

    [KernelFact]
    public void Generic_mathematics_is_monomorphised() => WordsProgram.Check(() => new GenericMath(), 100);

    [KernelFact]
    public void An_offset_stays_masked_where_the_verifier_does_not_see_that_it_is_zero() => WordsProgram.Check(() => new ZeroOffset(), 50);

    [KernelFact]
    public void Enums_of_every_width_are_numbers() => WordsProgram.Check(() => new Enums(), 200);

    private sealed class Wide : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            var a = new UInt128(w[0], w[1]);
            var b = new UInt128(w[2], w[3]);
            var mask = UInt128.MaxValue << (128 - (int)(w[4] & 127));
            Put(w + 10, a + b);
            Put(w + 12, a - b);
            Put(w + 14, a & mask);
            Put(w + 16, (a | b) ^ ~mask);
            Put(w + 18, a << (int)(w[5] & 127));
            Put(w + 20, a >> (int)(w[5] & 127));
            Put(w + 22, b << 37);
            Put(w + 24, BinaryPrimitives.ReverseEndianness(a));
            w[26] = (a < b ? 1u : 0) | (a <= b ? 2u : 0) | (a == b ? 4u : 0) | (a > b ? 8u : 0) | ((a & mask) == (b & mask) ? 16u : 0);
            w[27] = (ulong)a;
            w[28] = (ulong)(b >> 64);
            Put(w + 29, (UInt128)w[6] * w[7]);
            return a != b;
        }

        private static void Put(ulong* at, UInt128 value)
        {
            at[0] = (ulong)(value >> 64);
            at[1] = (ulong)value;
        }
    }

    private sealed class SignedWide : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            var a = new Int128(w[0], w[1]);
            var b = (Int128)(long)w[2];
            w[10] = (a < b ? 1u : 0) | (a > b ? 2u : 0) | (Int128.IsNegative(a) ? 4u : 0);
            var sum = a + b;
            w[11] = (ulong)(sum >> 64);
            w[12] = (ulong)sum;
            var shifted = a >> 70;
            w[13] = (ulong)shifted;
            var negated = -a;
            w[14] = (ulong)(negated >> 64);
            w[15] = (ulong)Int128.Max(a, b);
            return a == b;
        }
    }

    private sealed class Bits : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            w[10] = (ulong)BitOperations.PopCount(w[0]);
            w[11] = (ulong)BitOperations.PopCount((uint)w[0]);
            w[12] = (ulong)BitOperations.LeadingZeroCount(w[1]);
            w[13] = (ulong)BitOperations.LeadingZeroCount((uint)w[1]);
            w[14] = (ulong)BitOperations.TrailingZeroCount(w[2]);
            w[15] = (ulong)BitOperations.TrailingZeroCount((uint)w[2]);
            w[16] = (ulong)BitOperations.Log2(w[3]);
            w[17] = (ulong)BitOperations.Log2((uint)w[3]);
            w[18] = BitOperations.IsPow2(w[4]) ? 1u : 0;
            w[19] = BitOperations.RotateLeft(w[5], (int)w[6]);
            w[20] = BitOperations.RotateRight((uint)w[5], (int)w[6]);
            w[21] = BitOperations.RoundUpToPowerOf2((uint)w[7]);
            w[22] = ulong.LeadingZeroCount(w[7]);
            w[23] = (ulong)int.PopCount((int)w[8]);
            return BitOperations.PopCount(w[9]) > 30;
        }
    }

    private sealed class Mathematics : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            var (a, b) = ((int)w[0], (int)w[1]);
            w[10] = (ulong)Math.Max(a, b);
            w[11] = (ulong)Math.Min((long)w[0], (long)w[1]);
            w[12] = (ulong)Math.Clamp(a, -100, 100);
            w[13] = Math.Clamp((uint)w[2], 10u, 20u);
            w[14] = (ulong)Math.Sign(a);
            w[15] = (ulong)Math.Abs((long)(short)w[3]);
            w[16] = Math.BigMul(w[4], w[5], out var low);
            w[17] = low;
            w[18] = (ulong)Math.BigMul(a, b);
            var (quotient, remainder) = Math.DivRem((uint)w[6], 10u);
            w[19] = quotient;
            w[20] = remainder;
            w[21] = (ulong)int.Max(a, 3);
            w[22] = byte.Min((byte)w[7], 9);
            w[23] = (ulong)Math.Abs((short)(w[8] & 0x7fff));
            w[24] = uint.CreateTruncating(w[9]);
            w[25] = (ulong)short.Clamp((short)w[9], -5, 5);
            return a > b;
        }
    }

    private sealed class Native : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            nint a = (nint)w[0];
            nuint b = (nuint)w[1];
            w[10] = (ulong)(a * 3);
            w[11] = b >> 5;
            w[12] = (ulong)(a >> 5);
            w[13] = (ulong)((nint)(int)w[2] + a);
            w[14] = (ulong)sizeof(nint);
            w[15] = a < (nint)(int)w[3] ? 1u : 0;
            w[16] = b / 7;
            return (nuint)a > b;
        }
    }

    private sealed class GenericMath : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            w[10] = Average(w[0], w[1]);
            w[11] = Average((uint)w[0], (uint)w[1]);
            w[12] = (ulong)Average((short)w[0], (short)w[1]);
            w[13] = SumOf<uint, Doubling>((uint)w[2], (uint)w[3]);
            w[14] = SumOf<ulong, Plain>(w[2], w[3]);
            w[15] = (ulong)Largest((int)w[4], (int)w[5], (int)w[6]);
            return true;
        }

        private static T Average<T>(T a, T b)
            where T : unmanaged, INumber<T> => (a / (T.One + T.One)) + (b / (T.One + T.One));

        private static T Largest<T>(T a, T b, T c)
            where T : IComparisonOperators<T, T, bool> => a > b ? a > c ? a : c : b > c ? b : c;

        private static T SumOf<T, TRule>(T a, T b)
            where T : IAdditionOperators<T, T, T>
            where TRule : IRule => TRule.Doubles ? a + a + b + b : a + b;
    }

    private interface IRule
    {
        static abstract bool Doubles { get; }
    }

    private readonly struct Doubling : IRule
    {
        public static bool Doubles => true;
    }

    private readonly struct Plain : IRule
    {
        public static bool Doubles => false;
    }

    private sealed class ZeroOffset : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            // To us nothing is left of the quotient's low bits, to the verifier all of them are.
            var offset = (uint)((ulong)(0u / (((uint)w[0] & 255) + 1)) << 63) & 63;
            var other = (uint)((((ulong)(uint)w[2] / 3 * 0) << 40) + (w[1] & 31)) & 63;
            Span<byte> bytes = stackalloc byte[64];
            bytes[31] = 7;
            w[20] = bytes[(int)offset] + (ulong)bytes[(int)other];
            return offset == 0;
        }
    }

    private enum Tiny : byte
    {
        A = 1,
        B = 200,
    }

    [Flags]
    private enum Long : long
    {
        None = 0,
        High = 1L << 40,
        Low = 1,
        Negative = -5,
    }

    private sealed class Enums : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            var tiny = (Tiny)w[0];
            w[10] = (ulong)tiny;
            w[11] = tiny == Tiny.B ? 1u : 0;
            var flags = (Long)w[1];
            w[12] = (flags & Long.High) != 0 ? 1u : 0;
            w[13] = (ulong)(flags | Long.Negative);
            w[14] = (ulong)(XdpAction)(w[2] & 3);
            w[15] = tiny switch { Tiny.A => 5u, Tiny.B => 6u, _ => 7u };
            return tiny > Tiny.A;
        }
    }
}
