using Skep.Bpf.Asm;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;

namespace Skep.Benchmarks.Compiler;

/// <summary>
/// A test run with repetitions does not restore the packet. For algorithms that write into it, the same instructions are put in front of the code
/// of every contender: they undo a moved start and write the first 64 bytes again. What they cost alone is measured and taken off.
/// </summary>
internal sealed class Restoring : IDisposable
{
    private const int Words = 8;
    private const int LengthAt = Words * 8;
    private const int AdjustHead = 44;
    private const int DataAt = 0;
    private const int DataEndAt = 4;

    private readonly Global<Template> _template = new("template");

    /// <summary>What is to be restored.</summary>
    internal unsafe void Use(byte[] packet)
    {
        ref var template = ref _template.Value;
        template.Length = (ulong)packet.Length;
        for (var i = 0; i < Words; i++)
        {
            template.Packet[i] = BitConverter.ToUInt64(packet, 8 * i);
        }
    }

    /// <summary>The program with the restoring in front.</summary>
    internal ProgramSpec Around(ProgramSpec program)
    {
        var assembler = new Assembler()
            .MoveRegister(Register.R6, Register.R1)
            .LoadMapValue(Register.R7, _template)
            .Load(OpCodes.SizeW, Register.R2, Register.R6, DataAt)
            .Load(OpCodes.SizeW, Register.R3, Register.R6, DataEndAt)
            .MoveRegister(Register.R4, Register.R3)
            .AluRegister(OpCodes.Sub, Register.R4, Register.R2)
            .Load(OpCodes.SizeDw, Register.R5, Register.R7, LengthAt)
            .AluRegister(OpCodes.Sub, Register.R4, Register.R5)
            .Jump(OpCodes.Jeq, Register.R4, 0, "whole")
            .MoveRegister(Register.R1, Register.R6)
            .MoveRegister(Register.R2, Register.R4)
            .Call(AdjustHead)
            .Load(OpCodes.SizeW, Register.R2, Register.R6, DataAt)
            .Load(OpCodes.SizeW, Register.R3, Register.R6, DataEndAt)
            .Label("whole")
            .MoveRegister(Register.R1, Register.R2)
            .Alu(OpCodes.Add, Register.R1, LengthAt)
            .JumpRegister(OpCodes.Jle, Register.R1, Register.R3, "write")
            .Move(Register.R0, 0)
            .Exit()
            .Label("write");
        for (short i = 0; i < Words; i++)
        {
            assembler.Load(OpCodes.SizeDw, Register.R5, Register.R7, (short)(8 * i)).Store(OpCodes.SizeDw, Register.R2, (short)(8 * i), Register.R5);
        }

        assembler.MoveRegister(Register.R1, Register.R6);
        var front = assembler.Build("restore", ProgramType.Xdp, AttachType.Xdp);
        return new ProgramSpec
        {
            Name = program.Name,
            Type = program.Type,
            ExpectedAttachType = program.ExpectedAttachType,
            Instructions = [.. front.Instructions, .. program.Instructions],
            MapReferences = [.. front.MapReferences, .. program.MapReferences.Select(r => r with { Slot = r.Slot + front.Instructions.Count })],
            Functions = [new FunctionEntry(0, program.Name)],
        };
    }

    public void Dispose() => _template.Dispose();

    /// <summary>Layout: 64 bytes of packet, 8 of length.</summary>
    private unsafe struct Template
    {
        internal fixed ulong Packet[Words];
        internal ulong Length;
    }
}
