using System.Runtime.CompilerServices;
using Skep.Bpf.Asm;
using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Engine;

namespace Skep.KernelTests.Compiler;

/// <summary>How many paths the verifier has to walk, and programs their packets.</summary>
public unsafe class PathTests
{
    [KernelFact]
    public void Paths_that_differ_in_a_forgotten_number_only_are_walked_once_from_there_on()
    {
        Differential.Check(() => new Numbers(forgets: true), RandomPackets.Make(400, 64), static p => string.Join(' ', p.Counts.Entries.ToArray()));
        using var joined = ProgramLoader.Load(ProgramCompiler.Compile(new Numbers(forgets: true), KernelTarget.Running));
        using var apart = ProgramLoader.Load(ProgramCompiler.Compile(new Numbers(forgets: false), KernelTarget.Running));
        Assert.True(joined.VerifiedInstructions * 2 < apart.VerifiedInstructions, $"{joined.VerifiedInstructions}, {apart.VerifiedInstructions}");

        // Each path goes through a few instructions behind the number, and one through all.
        Assert.InRange(joined.VerifiedInstructions, 1, joined.Spec!.Instructions.Count + (16 * 6));
    }

    [KernelFact]
    public void What_a_method_says_of_its_success_is_not_asked_again_however_much_it_says_besides()
    {
        Differential.Check(() => new Reader(), RandomPackets.Make(200, 64));
        Differential.Check(() => new DirectReader(), RandomPackets.Make(200, 64));
        var (reader, direct) = (ProgramCompiler.Compile(new Reader(), KernelTarget.Running), ProgramCompiler.Compile(new DirectReader(), KernelTarget.Running));
        Assert.InRange(reader.Instructions.Count, 1, direct.Instructions.Count + 2);
    }

    [KernelFact]
    public void What_one_method_returns_of_another_is_not_asked_again_either()
    {
        Differential.Check(() => new Nested(), RandomPackets.Make(300, 64));
        var code = ProgramCompiler.Compile(new Nested(), KernelTarget.Running).Instructions;

        // The length, which list, two first numbers, five groups and sixteen members of them: nothing is compared with what a method has just returned.
        Assert.Equal(1 + 1 + 2 + 5 + 16, code.Count(static i => (i.Code & 7) is OpCodes.ClassJmp or OpCodes.ClassJmp32 && i.Code is not (OpCodes.ExitInstruction or (OpCodes.ClassJmp | OpCodes.Ja))));
    }

    private sealed class Nested : XdpProgram
    {
        private readonly byte[] _first = [9, 99];
        private readonly byte[][] _groups = [[1, 2, 3, 4], [60, 61, 62, 63], [120, 121, 122, 123]];
        private readonly byte[][] _others = [[5, 7], [70, 77]];

        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            return data + 14 <= context.DataEnd && TryFindIn(data[1] > 128, data[0], out var number) ? (XdpAction)((number * number >> 4) & 3) : XdpAction.Aborted;
        }

        private bool TryFindIn(bool isOther, byte kind, out uint number)
        {
            if (isOther)
            {
                return TryGroups(_others, kind, out number);
            }

            return TryCompare(_first, kind, out number) || TryGroups(_groups, kind, out number);
        }

        private static bool TryGroups(byte[][] groups, byte kind, out uint number)
        {
            foreach (var group in groups)
            {
                if (kind <= group[^1])
                {
                    return TryCompare(group, kind, out number);
                }
            }

            number = 0;
            return false;
        }

        private static bool TryCompare(byte[] group, byte kind, out uint number)
        {
            foreach (var one in group)
            {
                if (kind == one)
                {
                    number = one * 31u;
                    return true;
                }
            }

            number = 0;
            return false;
        }
    }

    // The number becomes an index at last: until then the verifier may not take one for another.
    private sealed class Numbers(bool forgets) : XdpProgram
    {
        private readonly bool _forgets = forgets;

        public ArrayMap<ulong> Counts { get; } = new(64, "counts", MapFlags.Mmapable);

        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 60 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            uint number = data[0] switch
            {
                3 => 60u, 17 => 51, 40 => 42, 45 => 33, 77 => 24, 90 => 15, 121 => 6, 133 => 1, 160 => 12, 171 => 23, 200 => 34, 211 => 45, 219 => 56, 240 => 59, _ => 2,
            };
            if (_forgets)
            {
                number = (uint)Verifier.Forget(number, Unsafe.ReadUnaligned<ulong>(data)) & 63;
            }

            var sum = 0u;
            for (var i = 0; i < 14; i++)
            {
                sum = (sum * 31) + Unsafe.ReadUnaligned<uint>(data + (i * 4));
            }

            ref var count = ref Counts.Find(number);
            if (!Unsafe.IsNullRef(ref count))
            {
                count = sum;
            }

            return (XdpAction)(sum & 3);
        }
    }

    private struct Read
    {
        public ulong A, B, C, D, E, F, G, H, I, J;
    }

    private sealed class Reader : XdpProgram
    {
        public PerCpuArrayMap<Read> Seen { get; } = new(1);

        public override XdpAction Run(ref XdpContext context) =>
            TryRead(context.Data, context.DataEnd, out var read) && Reader.Keep(Seen, in read) ? XdpAction.Pass : XdpAction.Drop;

        internal static bool Keep(PerCpuArrayMap<Read> map, in Read read)
        {
            ref var seen = ref map.Find(0u);
            if (Unsafe.IsNullRef(ref seen))
            {
                return false;
            }

            seen = read;
            return true;
        }

        private static bool TryRead(byte* data, byte* end, out Read read)
        {
            read = default;
            if (data + 58 > end)
            {
                return false;
            }

            read.A = data[0];
            if (data[1] > 200)
            {
                return false;
            }

            read.B = data[1];
            read.C = data[2];
            if (data[3] == 0)
            {
                return false;
            }

            read.D = data[3];
            read.E = data[4];
            read.F = data[5];
            if (data[6] < 10)
            {
                return false;
            }

            read.G = data[6];
            read.H = data[7];
            read.I = data[8];
            read.J = data[9];
            return true;
        }
    }

    // The same as one writes it to spare the question.
    private sealed class DirectReader : XdpProgram
    {
        public PerCpuArrayMap<Read> Seen { get; } = new(1);

        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 58 > context.DataEnd || data[1] > 200 || data[3] == 0 || data[6] < 10)
            {
                return XdpAction.Drop;
            }

            Read read;
            read.A = data[0];
            read.B = data[1];
            read.C = data[2];
            read.D = data[3];
            read.E = data[4];
            read.F = data[5];
            read.G = data[6];
            read.H = data[7];
            read.I = data[8];
            read.J = data[9];
            return Reader.Keep(Seen, in read) ? XdpAction.Pass : XdpAction.Drop;
        }
    }
}
