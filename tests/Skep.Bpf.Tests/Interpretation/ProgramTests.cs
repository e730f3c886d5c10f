using Skep.Bpf.Asm;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;
using Skep.Bpf.Twin.Interpretation;
using static Skep.Bpf.Asm.OpCodes;
using static Skep.Bpf.Asm.Register;

namespace Skep.Bpf.Tests.Interpretation;

/// <summary>Contexts, helpers, functions, and the count of instructions.</summary>
public sealed class ProgramTests : IDisposable
{
    private readonly TwinEngine _twin = new();

    public void Dispose() => _twin.Dispose();

    [Fact]
    public void A_program_reads_and_writes_its_packet_between_the_pointers_of_its_context()
    {
        var program = new Assembler()
            .Load(SizeW, R2, R1, 0).Load(SizeW, R3, R1, 4).MoveRegister(R4, R2).Alu(Add, R4, 14).Move(R0, 1).JumpRegister(Jgt, R4, R3, "end")
            .StoreImmediate(SizeH, R2, 12, 0x1122).Move(R0, 3).Label("end").Exit();
        var interpreter = new BytecodeInterpreter(program.Build("writer", ProgramType.Xdp), _twin);
        var result = interpreter.RunXdp(new byte[14]);
        Assert.Equal(XdpAction.Tx, result.XdpAction);
        Assert.Equal([0x22, 0x11], result.Packet[12..].ToArray());
        Assert.Equal(9, result.ExecutedInstructions);
        var shorter = interpreter.RunXdp(new byte[13]);
        Assert.Equal(XdpAction.Drop, shorter.XdpAction);
        Assert.Equal(7, shorter.ExecutedInstructions);
    }

    [Fact]
    public void A_wide_load_counts_as_one_instruction()
    {
        var result = new BytecodeInterpreter(new Assembler().LoadImmediate64(R0, 2).Exit().Build("wide", ProgramType.Xdp), _twin).RunXdp(new byte[64]);
        Assert.Equal(2, result.ExecutedInstructions);
    }

    [Fact]
    public void A_map_is_updated_found_and_deleted_from()
    {
        var map = new HashMap<uint, ulong>(4, "numbers");
        var program = new Assembler()
            .StoreImmediate(SizeW, R10, -4, 77).StoreImmediate(SizeDw, R10, -16, 5)
            .LoadMap(R1, map).MoveRegister(R2, R10).Alu(Add, R2, -4).MoveRegister(R3, R10).Alu(Add, R3, -16).Move(R4, 0).Call(2)
            .LoadMap(R1, map).MoveRegister(R2, R10).Alu(Add, R2, -4).Call(1).Jump(Jeq, R0, 0, "end")
            .Load(SizeDw, R1, R0, 0).Alu(Add, R1, 1).Store(SizeDw, R0, 0, R1)
            .StoreImmediate(SizeW, R10, -4, 78).LoadMap(R1, map).MoveRegister(R2, R10).Alu(Add, R2, -4).Call(3)
            .Label("end").Exit();
        var result = new BytecodeInterpreter(program.Build("mapper", ProgramType.Xdp), _twin).RunXdp(new byte[64]);
        Assert.Equal(-2, (int)result.ReturnValue); // -ENOENT of the deletion
        Assert.True(map.TryGet(77, out var value));
        Assert.Equal(6UL, value);
    }

    [Fact]
    public void The_head_of_a_packet_moves()
    {
        var program = new Assembler()
            .MoveRegister(R6, R1).Move(R2, -20).Call(44).Load(SizeW, R2, R6, 0).StoreImmediate(SizeB, R2, 0, 9).Move(R0, 3).Exit();
        var result = new BytecodeInterpreter(program.Build("grower", ProgramType.Xdp), _twin).RunXdp(new byte[64]);
        Assert.Equal(84, result.Packet.Length);
        Assert.Equal(9, result.Packet[0]);
    }

    [Fact]
    public void A_tc_program_reads_and_writes_fields_of_its_context()
    {
        var program = new Assembler()
            .Load(SizeW, R2, R1, 8).Alu(Add, R2, 1).Store(SizeW, R1, 8, R2).Load(SizeH, R0, R1, 16).Exit();
        var packet = new byte[64];
        packet[12] = 0x08;
        var result = new BytecodeInterpreter(program.Build("marker", ProgramType.SchedCls), _twin).RunTc(packet, new TcRunOptions(Mark: 41));
        Assert.Equal(42u, result.Mark);
        Assert.Equal(0x0008u, result.ReturnValue);
    }

    [Fact]
    public void Functions_have_their_own_stack_and_keep_the_callers_registers()
    {
        var program = new Assembler()
            .Move(R6, 40).StoreImmediate(SizeDw, R10, -8, 1).Move(R1, 1).CallFunction("add").Load(SizeDw, R1, R10, -8).AluRegister(Add, R0, R1)
            .AluRegister(Add, R0, R6).Exit()
            .Function("add").Move(R6, 1000).StoreImmediate(SizeDw, R10, -8, 500).MoveRegister(R0, R1).Exit();
        var result = new BytecodeInterpreter(program.Build("caller", ProgramType.Xdp), _twin).RunXdp(new byte[64]);
        Assert.Equal(42u, result.ReturnValue);
    }

    [Fact]
    public void Clock_and_cpu_are_those_of_the_twin()
    {
        _twin.Environment.KtimeNow = 1234;
        _twin.Environment.CurrentCpu = 3;
        var program = new Assembler().Call(5).MoveRegister(R6, R0).Call(8).AluRegister(Add, R0, R6).Exit();
        Assert.Equal(1237u, new BytecodeInterpreter(program.Build("clock", ProgramType.Xdp), _twin).RunXdp(new byte[64]).ReturnValue);
    }
}
