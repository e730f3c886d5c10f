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
