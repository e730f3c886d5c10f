using Skep.Bpf.Compiler;

namespace Skep.KernelTests.Compiler.Language;

/// <summary>Ways through a method: loops, switches, patterns, jumps, local functions.</summary>
public unsafe class FlowTests
{
    [KernelFact]
    // Below v3 a 32-bit number is cut by shifts, through which the verifier does not see that `n-- > 0` comes to an end.
    public void Loops_of_every_kind_run_as_often() => WordsProgram.Check(() => new Loops(), 60, leastLevel: 3);

    [KernelFact]
    public void Dense_switches_choose_alike()
    {
        WordsProgram.Check(() => new Dense(), 400);
        var longest = LongestChain(ProgramCompiler.Compile(new Dense()));
        Assert.True(longest <= 6, $"{longest} comparisons one after the other");
    }

    [KernelFact]
    public void Sparse_switches_choose_alike() => WordsProgram.Check(() => new Sparse(), 400);

    [KernelFact]
    public void Patterns_choose_alike() => WordsProgram.Check(() => new Patterns(), 400);

    [KernelFact]
    public void Gotos_jump() => WordsProgram.Check(() => new Gotos(), 100);

    [KernelFact]
    public void Local_functions_see_what_they_capture() => WordsProgram.Check(() => new LocalFunctions(), 100);

    [KernelFact]
    public void Short_circuits_evaluate_as_little() => WordsProgram.Check(() => new ShortCircuits(), 200);

    /// <summary>Conditional jumps that follow each other without anything else between.</summary>
    private static int LongestChain(Skep.Bpf.Programs.ProgramSpec spec)
    {
        var (longest, current) = (0, 0);
        foreach (var instruction in spec.Instructions)
        {
            current = (instruction.Code & 7) == 5 && (instruction.Code & 0xf0) is not (0 or 0x80 or 0x90) ? current + 1 : 0;
            longest = Math.Max(longest, current);
        }

        return longest;
    }

    private sealed class Loops : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            var total = 0UL;
            for (var i = 0; i < 10; i++)
            {
                for (var j = i; j < 10; j += 3)
                {
                    if (((w[0] >> j) & 1) == 0)
                    {
                        continue;
                    }

                    if (((w[1] >> (i + j)) & 1) == 1)
                    {
                        break;
                    }

                    total += (ulong)((i * 10) + j);
                }
            }

            w[10] = total;
            var n = (uint)w[2] & 31;
            do
            {
                total = (total * 5) + n;
            }
            while (n-- > 0);
            w[11] = total;
            var steps = 0;
            for (var x = (uint)w[3] & 0xff; x > 1 && steps < 12; steps++)
            {
                x = (x & 1) == 0 ? x / 2 : (3 * x) + 1;
            }

            w[12] = (ulong)steps;
            for (sbyte k = -5; k <= 5; k++)
            {
                w[13] += (ulong)(k * k);
            }

            for (long up = 0, down = 20; up < down; up++, down -= 2)
            {
                w[14] = (w[14] * 3) + (ulong)(up - down);
            }

            return steps > 9;
        }
    }

    private sealed class Dense : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            switch (w[0] & 31)
            {
                case 0: w[10] = w[1] + 1; break;
                case 1: w[10] = w[1] * 3; break;
                case 2: w[10] = w[1] ^ w[2]; break;
                case 3: w[10] = 11; goto case 7;
                case 4 or 5 or 6: w[10] = 12; break;
                case 7: w[11] = 7; break;
                case 8: return true;
                case 9: w[10] = w[1] >> 3; break;
                case 10: w[10] = 99; break;
                case 11: w[10] = 98; break;
                case 12: w[10] = 97; break;
                case 13: w[10] = w[3]; break;
                case 14: w[10] = w[4]; break;
                case 20: w[10] = 20; break;
                case 21: w[10] = 21; break;
                case 22: w[10] = 22; break;
                default: w[10] = 55; break;
            }

            return false;
        }
    }

    private sealed class Sparse : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            w[10] = (ushort)(w[0] & 0x3ff) switch
            {
                22 => 1,
                53 => 2,
                80 => 3,
                123 => 4,
                443 => 5,
                >= 500 and < 600 => 6,
                853 => 7,
                993 or 995 => 8,
                _ => 0,
            };
            w[11] = (long)w[1] switch
            {
                long.MinValue => 1,
                < -1000 => 2,
                < 0 => 3,
                0 => 4,
                < 100 => 5,
                _ => 6,
            };
            return w[10] == 0;
        }
    }

    private readonly record struct Header(byte Version, byte Protocol, ushort Length);

    private sealed class Patterns : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            var header = new Header((byte)(w[0] & 7), (byte)(w[1] & 31), (ushort)w[2]);
            w[10] = header switch
            {
                { Version: 4, Protocol: 6 or 17, Length: > 20 } => 1,
                { Version: 4, Protocol: 1 } => 2,
                { Version: 4 } => 3,
                { Version: 6, Length: var length and >= 40 } => length,
                (5, _, < 10) => 5,
                _ => 0,
            };
            w[11] = (header.Version, header.Protocol) switch
            {
                (4, 6) => 1,
                (4, _) or (6, 17) => 2,
                (_, 6) => 3,
                _ => 4,
            };
            w[12] = header is not { Version: 4 or 6 } ? 1u : 0;
            if (header is { Protocol: var protocol } && protocol is > 3 and not 7)
            {
                w[13] = protocol;
            }

            return header.Length is 0 or > 1500;
        }
    }

    private sealed class Gotos : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            var i = 0;
            again:
            w[10] += w[i];
            if (++i < 6)
            {
                if ((w[i] & 1) == 0)
                {
                    goto again;
                }

                w[11]++;
                goto again;
            }

            for (var a = 0; a < 5; a++)
            {
                for (var b = 0; b < 5; b++)
                {
                    if (((w[7] >> ((a * 5) + b)) & 1) == 1)
                    {
                        w[12] = (ulong)((a * 5) + b);
                        goto found;
                    }
                }
            }

            return false;
            found:
            return true;
        }
    }

    private sealed class LocalFunctions : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            var total = 0UL;
            var factor = w[0] & 7;
            Add(1);
            Add(w[1]);
            w[10] = total;
            w[11] = Square((uint)w[2]);
            return Outer();

            void Add(ulong x) => total += x * factor;

            static uint Square(uint x) => x * x;

            bool Outer()
            {
                Inner();
                return total > 100;

                void Inner() => total ^= factor;
            }
        }
    }

    private sealed class ShortCircuits : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            var a = (w[0] & 1) == 0;
            var b = (w[1] & 1) == 0;
            var c = Count(w, a) && Count(w, b) || Count(w, !a);
            w[11] = c ? 1u : 0;
            w[12] = a ^ b ? 3u : 4u;
            w[13] = a & b | c ? 5u : 6u;
            w[14] = w[2] > 5 ? w[3] > 5 ? 1u : 2u : w[4] > 5 ? 3u : 4u;
            return c;
        }

        private static bool Count(ulong* w, bool value)
        {
            w[10]++;
            return value;
        }
    }
}
