using Skep.Bpf.Asm;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using Skep.Bpf.Verification;
using static Skep.Bpf.Asm.OpCodes;
using static Skep.Bpf.Asm.Register;

namespace Skep.Bpf.Twin.Conformance;

/// <summary>
/// Runs conformance vectors in the kernel (root): as a function of an XDP program that hands it the bytes of the packet as R1 and their number
/// as R2, and keeps all 64 bits of its result in a map, for a verdict has 32 only. Shifts by a constant beyond the width, which the kernel
/// takes by register only, are given one.
/// </summary>
public sealed class KernelVectorEngine : VectorEngine, IDisposable
{
    private const int ShortestPacket = 14; // ETH_HLEN: BPF_PROG_TEST_RUN takes no less

    private Global<ulong>? _result;
    private LoadedProgram? _program;
    private (object Code, int Length)? _loaded;

    /// <inheritdoc/>
    public override string Name => "kernel";

    /// <summary>Unloads the last vector.</summary>
    public void Dispose()
    {
        _program?.Dispose();
        _result?.Dispose();
        (_program, _result, _loaded) = (null, null, null);
    }

    /// <inheritdoc/>
    protected override ulong? Execute(ConformanceVector vector, out string? refusal)
    {
        try
        {
            // Vectors that share their code follow one another, with other input.
            if (_loaded != (vector.Code, vector.Memory.Length))
            {
                Dispose();
                _result = new Global<ulong>("result");
                _program = ProgramLoader.Load(Wrap(vector, _result));
                _loaded = (vector.Code, vector.Memory.Length);
            }
        }
        catch (VerifierException e)
        {
            refusal = e.Complaint;
            return null;
        }

        var packet = new byte[Math.Max(ShortestPacket, vector.Memory.Length)];
        vector.Memory.CopyTo(packet, 0);
        _program!.TestRun(packet);
        refusal = null;
        return _result!.Value;
    }

    private static ProgramSpec Wrap(ConformanceVector vector, Global<ulong> result)
    {
        var assembler = new Assembler().Move(R0, 0);
        if (vector.Memory.Length > 0)
        {
            assembler
                .Load(SizeW, R2, R1, 4).Load(SizeW, R1, R1, 0)
                .MoveRegister(R3, R1).Alu(Add, R3, vector.Memory.Length).JumpRegister(Jgt, R3, R2, "end")
                .Move(R2, vector.Memory.Length);
        }
        else
        {
            assembler.Move(R1, 0).Move(R2, 0);
        }

        assembler
            .CallFunction("vector").LoadMapValue(R1, result).Store(SizeDw, R1, 0, R0).Move(R0, 2).Label("end").Exit()
            .Function("vector");
        var code = vector.Code.Instructions.ToArray();
        MoveShiftCounts(code, assembler);
        var begin = assembler.Position;
        foreach (var function in vector.Code.Functions.Where(f => f.Slot > 0))
        {
            assembler.Function(function.Name, begin + function.Slot);
        }

        foreach (var instruction in code)
        {
            assembler.Emit(instruction);
        }

        return assembler.Build("conformance", ProgramType.Xdp);
    }

    /// <summary>Counts beyond the width go to registers that the vector does not use; without such a register the kernel's refusal stands.</summary>
    private static void MoveShiftCounts(Instruction[] code, Assembler prologue)
    {
        var free = new Stack<byte>(Enumerable.Range(R6, 4).Select(r => (byte)r).Where(r => !code.Any(i => i.Dst == r || i.Src == r)));
        for (var slot = 0; slot < code.Length; slot++)
        {
            var i = code[slot];
            var isShift = i.Class is ClassAlu or ClassAlu64 && (i.Code & 0xf8) is Lsh or Rsh or Arsh;
            if (isShift && (uint)i.Immediate >= (i.Class == ClassAlu ? 32 : 64) && free.TryPop(out var count))
            {
                prologue.Move(count, i.Immediate);
                code[slot] = i with { Code = (byte)(i.Code | SourceRegister), Src = count, Immediate = 0 };
            }

            slot += i.IsWideLoad ? 1 : 0;
        }
    }
}
