using System.Buffers.Binary;
using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.CompilerServices;
using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.KernelTests.Compiler.Language;

/// <summary>Indices that are in range for a reason that the kernel's verifier does not see.</summary>
public unsafe class HiddenBoundTests
{
    [KernelFact]
    public void An_index_may_be_computed_before_the_test_that_bounds_it() => WordsProgram.Check(() => new ComputedBefore(), 300);

    [KernelFact]
    public void Quotients_and_remainders_are_indices() => WordsProgram.Check(() => new Quotients(), 300);

    [KernelFact]
    public void Bounds_hold_for_what_is_computed_from_the_index_and_in_loops() => WordsProgram.Check(() => new Derived(), 300);

    [KernelFact]
    public void What_is_computed_from_a_tested_number_stays_so() => WordsProgram.Check(() => new FromSum(), 300);

    [KernelFact]
    public void What_the_kernel_does_not_compute_is_bounded_by_comparisons_with_a_sign() => WordsProgram.Check(() => new Unknown(), 300);

    [KernelFact]
    public void A_narrow_field_is_as_narrow_for_the_verifier()
    {
        Kernel.Require();
        foreach (var level in new[] { 2, 3, 4 })
        {
            // C# converts to a byte before it stores one; IL need not.
            var converted = 0;
            var spec = ProgramCompiler.Compile(new Narrow(), new CompileTarget { IsaLevel = level, BodyOf = m => m.Name == "Compute" ? WithoutConversions(m) : null });
            using var loaded = ProgramLoader.Load(spec);
            Assert.NotEqual(0, converted);

            byte[] WithoutConversions(MethodBase method)
            {
                var il = method.GetMethodBody()!.GetILAsByteArray()!;
                for (var i = 1; i < il.Length; i++)
                {
                    if (il[i - 1] == OpCodes.Conv_U1.Value && il[i] == OpCodes.Stfld.Value)
                    {
                        il[i - 1] = (byte)OpCodes.Nop.Value;
                        converted++;
                    }
                }

                return il;
            }
        }
    }

    [KernelFact]
    public void A_test_of_what_an_index_was_computed_from_bounds_it() => WordsProgram.Check(() => new Sources(), 300);

    [KernelFact]
    public void Half_of_a_number_is_compared_and_is_the_index() => WordsProgram.Check(() => new Halves(), 300);

    [KernelFact]
    public void What_is_left_of_a_number_of_which_the_kernel_knows_only_the_lower_half_is_an_index() => WordsProgram.Check(() => new UpperBits(), 300);

    [KernelFact]
    public void Ways_that_cannot_be_gone_need_no_bounds_and_tests_say_something_in_any_order() => WordsProgram.Check(() => new Orders(), 300);

    private sealed class Orders : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            Span<int> buffer = stackalloc int[8];
            buffer.Fill((int)w[9]);
            w[10] = (ulong)At(buffer, (int)w[0], (int)((ushort)w[1] + 3175634564));
            w[11] = (ulong)NotFirst(buffer, (uint)w[2], (uint)w[3]);
            return w[10] != w[11];
        }

        /// <summary>Two ways to the second test, neither of which can be gone where the number is below zero.</summary>
        private static int At(ReadOnlySpan<int> buffer, int x, int y)
        {
            var sum = (uint)x < (uint)buffer.Length ? buffer[x] : 5;
            if (y is >= 0 and < 8)
            {
                sum += buffer[y] + (y > 0 ? buffer[y - 1] : 0);
            }

            return sum;
        }

        /// <summary>That the number is not zero bounds it only together with the test before.</summary>
        private static int NotFirst(ReadOnlySpan<int> buffer, uint x, uint y) => y < 8 && y != 0 ? buffer[(int)y - 1] : (int)x;
    }

    private sealed class Halves : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            Span<int> buffer = stackalloc int[8];
            buffer.Fill((int)w[9]);

            // The verifier knows that it is below 2^32, but follows the halves apart below level 3.
            w[16] = (ulong)At(buffer, (int)((w[7] & 0xffff) + 1));

            // All are below 2^32, which the verifier does not know of the 64 bits.
            w[10] = (ulong)At(buffer, (int)((ushort)w[0] / ((w[1] & 0xff) + 1)));
            w[11] = (ulong)At(buffer, (int)(w[2] % 3));
            w[12] = (ulong)At(buffer, (int)((ushort)w[3] / ((w[4] & 0xff) + 1) / ((w[5] & 7) + 1)));
            var (rest, swapped) = (w[6] % 11, w[7] % 13);
            for (var i = 0; i < 3; i++)
            {
                rest = (w[8] & 1) == 0 ? rest : swapped;
                w[13 + i] = (ulong)At(buffer, (int)rest);
            }

            return w[10] != w[11];
        }

        private static int At(ReadOnlySpan<int> buffer, int y)
        {
            var sum = (uint)y < (uint)buffer.Length ? buffer[y] : 5;
            if (y is >= 0 and < 8)
            {
                sum += buffer[y] + (y > 0 ? buffer[y - 1] : 0);
            }

            return sum + buffer[(y & int.MaxValue) % 8];
        }
    }

    private sealed class UpperBits : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            Span<byte> bytes = stackalloc byte[16];
            for (var i = 0; i < bytes.Length; i++)
            {
                bytes[i] = (byte)(w[9] >> i);
            }

            // In 32 bits, and with the conversion first in 64.
            w[10] = bytes[(int)((uint)w[0] >> (int)w[1] >> 28)];
            w[11] = bytes[(int)((uint)w[0] << (int)w[1] >> 28)];
            w[12] = bytes[(int)((uint)w[2] / ((uint)w[3] & 3 | 1) >> 28)];
            w[13] = bytes[(int)(BinaryPrimitives.ReverseEndianness((uint)w[4]) >> 28)];
            w[14] = bytes[(int)((uint)w[5] % ((uint)w[6] | 1) >> 28)];
            w[15] = bytes[(int)((ulong)((uint)w[0] >> (int)w[1]) >> 28)];
            w[16] = bytes[(int)((ulong)((uint)w[0] << (int)w[1]) >> 28)];
            w[17] = bytes[(int)((ulong)((uint)w[2] / ((uint)w[3] & 3 | 1)) >> 28)];
            w[18] = bytes[(int)((ulong)BinaryPrimitives.ReverseEndianness((uint)w[4]) >> 28)];
            w[19] = bytes[(int)((ulong)((uint)w[5] % ((uint)w[6] | 1)) >> 28)];
            w[20] = bytes[(int)((ulong)((w[7] & 1) == 0 ? (uint)w[8] : (uint)w[5] % ((uint)w[6] | 1)) >> 28)];
            return w[10] != w[11];
        }
    }

    private sealed class Sources : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            Span<int> buffer = stackalloc int[8];
            buffer.Fill((int)w[9]);

            // Each is tested against 0 as the comparison, the unshifted number or the product that it is.
            w[10] = (ulong)Before(buffer, w[0] < w[1] ? 1 : 0);
            w[11] = (ulong)Before(buffer, (int)w[2] == (short)w[3] ? 1 : 0);
            w[12] = (ulong)Before(buffer, (int)((uint)w[4] >> 29));
            w[13] = (ulong)Before(buffer, (int)(w[5] >> 61));
            w[14] = (ulong)Before(buffer, (int)w[6] << 24);
            var (zero, same) = (0, 0);
            for (var i = 0; i < (int)(w[7] & 15); i++)
            {
                for (var k = 0; k < i; k++)
                {
                    same = (w[8] & 1) == 0 ? zero : same;
                    zero = same;
                }
            }

            w[15] = (ulong)Before(buffer, zero);
            return w[10] != w[11];
        }

        private static int Before(ReadOnlySpan<int> buffer, int y)
        {
            var sum = 3;
            if (y is >= 0 and < 8)
            {
                sum += buffer[y] + (y > 0 ? buffer[y - 1] : 0);
            }

            return sum;
        }
    }

    private sealed class Unknown : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            Span<int> buffer = stackalloc int[8];
            buffer.Fill((int)w[9]);
            w[10] = (ulong)At(buffer, (int)((uint)w[0] / 500_000_000));
            w[11] = (ulong)At(buffer, (int)((uint)w[1] % 77) - 5);
            w[12] = (ulong)At(buffer, (int)w[2] / 200_000_000);
            w[13] = (ulong)At(buffer, (int)w[3] % 12);
            w[14] = (ulong)At(buffer, -(int)(w[4] & 0xf));
            w[15] = (ulong)At(buffer, BinaryPrimitives.ReverseEndianness((int)(w[5] & 0x0f0000ff)));
            w[16] = (ulong)At(buffer, (int)((w[6] & 1) != 0 ? (uint)w[7] % 11 : (uint)w[8] / 500_000_000));
            return w[10] != w[11];
        }

        private static int At(ReadOnlySpan<int> buffer, int y)
        {
            var sum = y;
            if (y is >= 0 and < 8)
            {
                sum += buffer[y] + (y > 0 ? buffer[y - 1] : 0);
            }

            return sum;
        }
    }

    private struct Cell
    {
        public byte Small;
        public byte Large;
    }

    private sealed class Narrow : WordsProgram
    {
        private readonly Global<Bytes64> _bytes = new();
        private readonly HashMap<Cell, int> _seen = new(512);

        protected override bool Compute(ulong* w)
        {
            // What a helper reads is kept in memory until late, when no mask is left of the indices: a byte has six bits above the two lowest.
            var (cell, one) = (default(Cell), 1);
            cell.Small = (byte)((uint)w[0] % 200);
            cell.Large = (byte)((byte)w[1] / 3);
            if (_seen.Update(in cell, in one, UpdateMode.Any) != 0)
            {
                return false;
            }

            var bytes = (byte*)Unsafe.AsPointer(ref _bytes.Value);
            bytes[(cell.Small >> 2) & 63]++;
            bytes[(cell.Large >> 2) & 63] += 3;
            return bytes[(cell.Small >> 2) & 63] > cell.Large;
        }

        [InlineArray(64)]
        private struct Bytes64
        {
            private byte _first;
        }
    }

    private sealed class FromSum : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            w[4] = (ulong)Checked((int)w[1] + 125, (int)w[0] & 7);
            w[5] = (ulong)Checked((int)w[2] - 3, (int)w[3]);
            return w[4] != w[5];
        }

        private static int Checked(int y, int x)
        {
            Span<int> buffer = stackalloc int[8];
            buffer[3] = x;
            buffer[7] = y;
            var sum = 5;
            if (y is >= 0 and < 8)
            {
                sum += buffer[y] + (y > 0 ? buffer[y - 1] : 0);
            }

            return sum + buffer[(y & int.MaxValue) % 8];
        }
    }

    private sealed class ComputedBefore : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            Span<byte> odd = stackalloc byte[24];
            Span<byte> even = stackalloc byte[16];
            odd.Fill((byte)w[3]);
            even.Fill((byte)w[4]);
            var y = (int)(w[0] & 15);
            odd[y] = 1;
            even[y] = 2;
            var before = y - 1;
            w[1] = (ulong)before;
            w[2] = y > 0 ? odd[before] : 0u;
            w[5] = y > 0 ? even[before] : 0u;
            if (before < 0)
            {
                return false;
            }

            w[6] = (ulong)odd[before] << even[before];
            return true;
        }
    }

    private sealed class Quotients : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            Span<ushort> cells = stackalloc ushort[24];
            Span<byte> bytes = stackalloc byte[32];
            cells.Fill((ushort)w[3]);
            bytes.Fill((byte)w[4]);
            cells[(byte)w[0] / 11] = 7;
            bytes[(int)(w[1] % 32)] = 9;
            w[5] = cells[(int)((uint)w[1] % 24)];
            w[6] = bytes[(byte)w[0] / 8];
            return cells[(int)(w[2] % 23) + 1] == 7;
        }
    }

    private sealed class Derived : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            Span<long> longs = stackalloc long[9];
            longs.Fill((long)w[3]);
            var last = (int)(w[0] & 7) - 1;
            var place = last * 8;
            w[4] = (ulong)place;
            for (var i = 0; i < 3; i++)
            {
                if (last >= 0)
                {
                    longs[last] += i + place;
                    longs[last + 1] = last;
                }

                w[5 + i] = (ulong)longs[i];
            }

            return last < 0 || longs[last] > 3;
        }
    }
}
