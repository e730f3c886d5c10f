using System.Text.RegularExpressions;
using Skep.Bpf.Asm;
using Skep.Bpf.Features;
using Skep.Bpf.Programs;
using static Skep.Bpf.Asm.OpCodes;
using static Skep.Bpf.Asm.Register;

namespace Skep.KernelTests.Asm;

public partial class DisassemblerTests
{
    private static readonly byte[] s_arithmetic = [Add, Sub, Mul, Div, Or, And, Lsh, Rsh, Mod, Xor, Mov, Arsh];
    private static readonly byte[] s_conditions = [Jeq, Jgt, Jge, Jset, Jne, Jsgt, Jsge, Jlt, Jle, Jslt, Jsle];

    private static Assembler EveryForm(bool isa4)
    {
        var code = new Assembler().MoveRegister(R6, R1).Move(R1, 3).Move(R2, 5);
        foreach (var operation in s_arithmetic)
        {
            code.Alu(operation, R1, 7).AluRegister(operation, R1, R2).Alu32(operation, R1, 9);
            code.Emit(new((byte)(ClassAlu | SourceRegister | operation), R1, R2, 0, 0));
        }

        code.Emit(new(ClassAlu64 | Neg, R1, 0, 0, 0)).Emit(new(ClassAlu | Neg, R1, 0, 0, 0));
        foreach (var bits in (int[])[16, 32, 64])
        {
            code.Emit(new(ClassAlu | End | SourceRegister, R1, 0, 0, bits)).Emit(new(ClassAlu | End, R1, 0, 0, bits));
        }

        if (isa4)
        {
            code.Emit(new(ClassAlu64 | End, R1, 0, 0, 32));
            code.Emit(new(ClassAlu64 | Div, R1, 0, 1, 3)).Emit(new(ClassAlu | Mod | SourceRegister, R1, R2, 1, 0));
            code.Emit(new(ClassAlu64 | Mov | SourceRegister, R1, R2, 16, 0)).Emit(new(ClassAlu | Mov | SourceRegister, R1, R2, 8, 0));
        }

        code.StoreImmediate(SizeDw, R10, -8, -5).StoreImmediate(SizeW, R10, -12, 1).StoreImmediate(SizeH, R10, -14, 2).StoreImmediate(SizeB, R10, -16, 3);
        foreach (var size in (byte[])[SizeB, SizeH, SizeW, SizeDw])
        {
            code.Store(size, R10, -8, R2).Load(size, R3, R10, -8);
        }

        if (isa4)
        {
            code.Emit(new(ClassLdx | ModeMemSx | SizeH, R3, R10, -8, 0));
        }

        foreach (var size in (byte[])[SizeW, SizeDw])
        {
            foreach (var kind in (int[])[AtomicAdd, AtomicOr, AtomicAnd, AtomicXor])
            {
                code.Store(SizeDw, R10, -8, R2).Atomic(size, kind, R10, -8, R2).Atomic(size, kind | AtomicFetch, R10, -8, R2);
            }

            code.Atomic(size, AtomicXchg, R10, -8, R2).Move(R0, 1).Atomic(size, AtomicCmpXchg, R10, -8, R2);
        }

        code.LoadImmediate64(R4, 0x123456789abcdef0).Call(5).MoveRegister(R7, R0).Call(7).MoveRegister(R2, R0).MoveRegister(R1, R7);
        for (var i = 0; i < s_conditions.Length; i++)
        {
            var next = $"next{i}";
            code.Jump(s_conditions[i], R1, 100, next).Move(R3, i).Label(next);
            code.JumpRegister(s_conditions[i], R1, R2, next + "r").Move(R3, i).Label(next + "r");
            code.Emit(new((byte)(ClassJmp32 | s_conditions[i]), R1, 0, 1, 100)).Move(R3, i);
        }

        return code.Jump("end").Label("end").CallFunction("helper").Move(R0, 2).Exit().Function("helper").Move(R0, 0).Exit();
    }

    [KernelFact]
    public void Writes_instructions_as_the_verifier_does()
    {
        var spec = EveryForm(FeatureProbe.IsAvailable(KernelFeatures.Isa4)).Build("forms", ProgramType.Xdp);
        using var program = ProgramLoader.Load(spec, new LoadOptions { LogLevel = 2 });

        var seen = new HashSet<int>();
        foreach (Match line in InstructionLine().Matches(program.Log))
        {
            var slot = int.Parse(line.Groups["slot"].ValueSpan, System.Globalization.CultureInfo.InvariantCulture);
            var ours = Disassembler.Format(spec.Instructions[slot], spec.Instructions[Math.Min(slot + 1, spec.Instructions.Count - 1)]);
            Assert.Equal(line.Groups["text"].Value.Trim(), ours);
            seen.Add(slot);
        }

        Assert.True(seen.Count > 100, $"only {seen.Count} instructions were compared");
    }

    [GeneratedRegex(@"^(?<slot>\d+): \([0-9a-f]{2}\) (?<text>[^;\n]*)", RegexOptions.Multiline)]
    private static partial Regex InstructionLine();
}
