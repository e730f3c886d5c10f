using Skep.Bpf.Asm;
using static Skep.Bpf.Asm.OpCodes;
using static Skep.Bpf.Asm.Register;

namespace Skep.Bpf.Tests.Interpretation;

public class JumpTests
{
    private const ulong Minus1 = ulong.MaxValue;

    [Theory]
    [InlineData(Jeq, 1UL, 1UL, 0x1_0000_0001UL, 1UL)]
    [InlineData(Jne, 1UL, 2UL, 0x1_0000_0001UL, 2UL)]
    [InlineData(Jgt, Minus1, 1UL, 0xffff_ffffUL, 1UL)]
    [InlineData(Jge, 1UL, 1UL, 0xffff_ffffUL, 1UL)]
    [InlineData(Jlt, 1UL, Minus1, 1UL, 0xffff_ffffUL)]
    [InlineData(Jle, 1UL, 1UL, 1UL, 0xff_0000_0002UL)]
    [InlineData(Jset, 6UL, 2UL, 0x1_0000_0001UL, 1UL)]
    [InlineData(Jsgt, 1UL, Minus1, 1UL, 0xffff_ffffUL)]
    [InlineData(Jsge, Minus1, Minus1, 0xffff_ffffUL, 0xffff_ffffUL)]
    [InlineData(Jslt, Minus1, 1UL, 0xffff_ffffUL, 1UL)]
    [InlineData(Jsle, Minus1, 0UL, 0x8000_0000UL, 0UL)]
    public void Conditions_hold_on_64_and_on_the_lower_32_bits(byte condition, ulong a, ulong b, ulong low, ulong otherLow)
    {
        Assert.True(Taken(ClassJmp, condition, a, b));
        Assert.True(Taken(ClassJmp32, condition, low, otherLow));
    }

    [Theory]
    [InlineData(Jeq, 0x1_0000_0001UL, 1UL, 1UL, 2UL)]
    [InlineData(Jne, 1UL, 1UL, 0x1_0000_0001UL, 1UL)]
    [InlineData(Jgt, 1UL, Minus1, 0x2_0000_0001UL, 0x1_0000_0001UL)]
    [InlineData(Jge, 1UL, 2UL, 0x2_0000_0001UL, 2UL)]
    [InlineData(Jlt, 2UL, 2UL, 0x2UL, 0x1_0000_0001UL)]
    [InlineData(Jle, Minus1, 1UL, 0xffff_ffffUL, 1UL)]
    [InlineData(Jset, 5UL, 2UL, 0x1_0000_0000UL, 0x1_0000_0000UL)]
    [InlineData(Jsgt, Minus1, 0UL, 0xffff_ffffUL, 0UL)]
    [InlineData(Jsge, Minus1, 0UL, 0x8000_0000UL, 0x7fff_ffffUL)]
    [InlineData(Jslt, 1UL, Minus1, 1UL, 0xffff_ffffUL)]
    [InlineData(Jsle, 1UL, Minus1, 1UL, 0xffff_ffffUL)]
    public void Conditions_fail_on_64_and_on_the_lower_32_bits(byte condition, ulong a, ulong b, ulong low, ulong otherLow)
    {
        Assert.False(Taken(ClassJmp, condition, a, b));
        Assert.False(Taken(ClassJmp32, condition, low, otherLow));
    }

    [Fact]
    public void Immediates_of_unsigned_conditions_are_sign_extended() =>
        Assert.Equal(9UL, Bytecode.Compute(Minus1 - 1, 0, p => p.Jump(Jlt, R1, -1, "less").Move(R1, 8).Jump("end").Label("less").Move(R1, 9).Label("end")));

    [Fact]
    public void The_long_jump_takes_its_distance_from_the_immediate() =>
        Assert.Equal(1UL, Bytecode.Compute(1, 0, p => p.Emit(new Instruction(ClassJmp32 | Ja, 0, 0, 0, 1)).Move(R1, 2)));

    [Fact]
    public void A_loop_jumps_backwards() =>
        Assert.Equal(55UL, Bytecode.Compute(0, 10, p => p.Label("again").AluRegister(Add, R1, R2).Alu(Sub, R2, 1).Jump(Jne, R2, 0, "again")));

    private static bool Taken(byte kind, byte condition, ulong a, ulong b) => Bytecode.Compute(a, b, p => p
        .Emit(new Instruction((byte)(kind | condition | SourceRegister), R1, R2, 1, 0)).Emit(new Instruction(ClassJmp | Ja, 0, 0, 2, 0))
        .Move(R1, 1).Jump("end").Move(R1, 0).Label("end")) == 1;
}
