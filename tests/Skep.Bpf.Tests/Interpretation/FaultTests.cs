using Skep.Bpf.Asm;
using Skep.Bpf.Maps;
using static Skep.Bpf.Asm.OpCodes;
using static Skep.Bpf.Asm.Register;

namespace Skep.Bpf.Tests.Interpretation;

public class FaultTests
{
    [Fact]
    public void Reading_beyond_the_packet_names_slot_instruction_and_offset()
    {
        var fault = Bytecode.Fault(new Assembler().Load(SizeW, R2, R1, 0).Line("Program.cs", 12).Load(SizeW, R0, R2, 61).Exit());
        Assert.Equal(1, fault.Slot);
        Assert.Equal("r0 = *(u32 *)(r2 +61)", fault.Instruction);
        Assert.Equal("reads 4 bytes at offset 61 of the packet, which has 64 bytes", fault.Reason);
        Assert.Contains("Program.cs:12", fault.Message);
    }

    [Fact]
    public void Memory_before_the_packet_is_not_the_programs() =>
        Assert.Contains("offset -1 of the packet", Bytecode.Fault(new Assembler().Load(SizeW, R2, R1, 0).StoreImmediate(SizeB, R2, -1, 0).Exit()).Reason);

    [Theory]
    [InlineData(-513)]
    [InlineData(-7)]
    public void The_stack_ends_after_512_bytes(short offset) =>
        Assert.Contains($"offset {offset} from the frame pointer", Bytecode.Fault(new Assembler().StoreImmediate(SizeDw, R10, offset, 0).Exit()).Reason);

    [Fact]
    public void A_null_pointer_is_named() =>
        Assert.Contains("null pointer", Bytecode.Fault(new Assembler().Move(R2, 0).Load(SizeW, R0, R2, 8).Exit()).Reason);

    [Fact]
    public void A_register_never_set_is_named() =>
        Assert.Contains("never set", Bytecode.Fault(new Assembler().Load(SizeW, R0, R5, 0).Exit()).Reason);

    [Fact]
    public void A_value_of_a_map_ends_where_its_struct_ends()
    {
        var fault = Bytecode.Fault(new Assembler().LoadMapValue(R1, new Global<uint>("number")).StoreImmediate(SizeDw, R1, 0, 0).Exit());
        Assert.Equal("writes 8 bytes at offset 0 of a value of map 'number', which has 4 bytes", fault.Reason);
    }

    [Fact]
    public void A_map_is_not_memory() =>
        Assert.Contains("map 'number'", Bytecode.Fault(new Assembler().LoadMap(R1, new Global<uint>("number")).Load(SizeW, R0, R1, 0).Exit()).Reason);

    [Fact]
    public void A_key_must_be_readable()
    {
        var fault = Bytecode.Fault(new Assembler().LoadMap(R1, new Global<uint>("number")).MoveRegister(R2, R10).Alu(Add, R2, -2).Call(1).Exit());
        Assert.Contains("gives bpf_map_lookup_elem 4 bytes", fault.Reason);
    }

    [Fact]
    public void The_context_has_only_its_fields()
    {
        Assert.Contains("no field of 4 bytes at offset 2", Bytecode.Fault(new Assembler().Load(SizeW, R0, R1, 2).Exit()).Reason);
        Assert.Contains("can be written", Bytecode.Fault(new Assembler().StoreImmediate(SizeW, R1, 12, 1).Exit()).Reason);
    }

    [Fact]
    public void A_run_without_end_is_given_up()
    {
        var fault = Bytecode.Fault(new Assembler().Label("again").Jump("again"), stepLimit: 1000);
        Assert.Contains("more than 1000 instructions", fault.Reason);
    }

    [Fact]
    public void Execution_stays_in_the_program() =>
        Assert.Contains("outside the program", Bytecode.Fault(new Assembler().Move(R0, 1)).Reason);

    [Fact]
    public void The_frame_pointer_stays() =>
        Assert.Contains("frame pointer", Bytecode.Fault(new Assembler().Alu(Add, R10, 8).Exit()).Reason);

    [Fact]
    public void Helpers_unknown_here_are_named() =>
        Assert.Contains("bpf_sysctl_get_name", Bytecode.Fault(new Assembler().Call(101).Exit()).Reason);

    [Theory]
    [InlineData(ClassAlu64 | 0xe0, 0, 0)]
    [InlineData(ClassAlu64 | End, 0, 24)]
    [InlineData(ClassJmp32 | Exit, 0, 0)]
    [InlineData(ClassLdx | ModeMemSx | SizeDw, 0, 0)]
    [InlineData(ClassStx | ModeAtomic | SizeB, 0, 0)]
    [InlineData(ClassLd | ModeMemSx, 0, 0)]
    public void Instructions_that_do_not_exist_are_refused(byte code, short offset, int immediate) =>
        Assert.Equal("there is no such instruction", Bytecode.Fault(new Assembler().Emit(new Instruction(code, R1, 0, offset, immediate)).Exit()).Reason);
}
