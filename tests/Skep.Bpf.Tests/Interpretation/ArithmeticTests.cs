using Skep.Bpf.Asm;
using static Skep.Bpf.Asm.OpCodes;
using static Skep.Bpf.Asm.Register;

namespace Skep.Bpf.Tests.Interpretation;

/// <summary>Each row is an operation of RFC 9669 section 4 with the numbers at which implementations differ.</summary>
public class ArithmeticTests
{
    private const ulong Minus1 = ulong.MaxValue;
    private const ulong Min64 = 0x8000_0000_0000_0000;

    [Theory]
    [InlineData(Add, 0, Minus1, 2UL, 1UL)]
    [InlineData(Sub, 0, 1UL, 2UL, Minus1)]
    [InlineData(Mul, 0, 0x1_0000_0001UL, 0x1_0000_0001UL, 0x2_0000_0001UL)]
    [InlineData(Div, 0, Minus1, 2UL, 0x7fff_ffff_ffff_ffffUL)]
    [InlineData(Div, 0, 5UL, 0UL, 0UL)]
    [InlineData(Div, 1, Minus1 - 6, 2UL, Minus1 - 2)] // -7 / 2 = -3
    [InlineData(Div, 1, 5UL, 0UL, 0UL)]
    [InlineData(Div, 1, Min64, Minus1, Min64)]
    [InlineData(Mod, 0, Minus1, 10UL, 5UL)]
    [InlineData(Mod, 0, 0x1_2345_6789UL, 0UL, 0x1_2345_6789UL)]
    [InlineData(Mod, 1, Minus1 - 12, 4UL, Minus1)] // -13 % 4 = -1
    [InlineData(Mod, 1, Min64, Minus1, 0UL)]
    [InlineData(Mod, 1, 0x1_2345_6789UL, 0UL, 0x1_2345_6789UL)]
    [InlineData(Or, 0, 0xf0UL, 0x0fUL, 0xffUL)]
    [InlineData(And, 0, 0xffUL, 0x3cUL, 0x3cUL)]
    [InlineData(Xor, 0, 0xffUL, 0x3cUL, 0xc3UL)]
    [InlineData(Lsh, 0, 1UL, 63UL, Min64)]
    [InlineData(Lsh, 0, 1UL, 65UL, 2UL)]
    [InlineData(Rsh, 0, Min64, 63UL, 1UL)]
    [InlineData(Arsh, 0, Min64, 63UL, Minus1)]
    [InlineData(Arsh, 0, Min64, 64UL, Min64)]
    [InlineData(Neg, 0, 1UL, 0UL, Minus1)]
    [InlineData(Neg, 0, Min64, 0UL, Min64)]
    [InlineData(Mov, 0, 1UL, Min64, Min64)]
    [InlineData(Mov, 8, 1UL, 0x1ffUL, Minus1)]
    [InlineData(Mov, 16, 1UL, 0x18000UL, 0xffff_ffff_ffff_8000UL)]
    [InlineData(Mov, 32, 1UL, 0x1_8000_0000UL, 0xffff_ffff_8000_0000UL)]
    public void Arithmetic_of_64_bits(byte operation, short variant, ulong a, ulong b, ulong expected)
    {
        var (source, register) = operation == Neg ? (SourceImmediate, R0) : (SourceRegister, R2);
        Assert.Equal(expected, Bytecode.Compute(a, b, new Instruction((byte)(ClassAlu64 | operation | source), R1, register, variant, 0)));
    }

    [Theory]
    [InlineData(Add, 0, 0xffff_ffffUL, 2UL, 1UL)]
    [InlineData(Sub, 0, 1UL, 2UL, 0xffff_ffffUL)]
    [InlineData(Mul, 0, 0xffff_ffffUL, 2UL, 0xffff_fffeUL)]
    [InlineData(Div, 0, 0x1_0000_0009UL, 0xff_0000_0002UL, 4UL)]
    [InlineData(Div, 0, 5UL, 0x1_0000_0000UL, 0UL)]
    [InlineData(Div, 1, 0xffff_fff9UL, 2UL, 0xffff_fffdUL)]
    [InlineData(Div, 1, 0x8000_0000UL, 0xffff_ffffUL, 0x8000_0000UL)]
    [InlineData(Div, 1, 5UL, 0UL, 0UL)]
    [InlineData(Mod, 0, 0xffff_ffffUL, 10UL, 5UL)]
    [InlineData(Mod, 0, 0x1_2345_6789UL, 0UL, 0x2345_6789UL)]
    [InlineData(Mod, 1, 0xffff_fff3UL, 4UL, 0xffff_ffffUL)]
    [InlineData(Mod, 1, 0x8000_0000UL, 0xffff_ffffUL, 0UL)]
    [InlineData(Mod, 1, 0x1_2345_6789UL, 0UL, 0x2345_6789UL)]
    [InlineData(Or, 0, 0xff_0000_00f0UL, 0x0fUL, 0xffUL)]
    [InlineData(And, 0, Minus1, Minus1, 0xffff_ffffUL)]
    [InlineData(Xor, 0, Minus1, 0UL, 0xffff_ffffUL)]
    [InlineData(Lsh, 0, 1UL, 33UL, 2UL)]
    [InlineData(Rsh, 0, 0xff_8000_0000UL, 31UL, 1UL)]
    [InlineData(Arsh, 0, 0x8000_0000UL, 31UL, 0xffff_ffffUL)]
    [InlineData(Neg, 0, 1UL, 0UL, 0xffff_ffffUL)]
    [InlineData(Mov, 0, 1UL, Minus1, 0xffff_ffffUL)]
    [InlineData(Mov, 8, 1UL, 0x80UL, 0xffff_ff80UL)]
    [InlineData(Mov, 16, 1UL, 0x8000UL, 0xffff_8000UL)]
    public void Arithmetic_of_32_bits_clears_the_upper_half(byte operation, short variant, ulong a, ulong b, ulong expected)
    {
        var (source, register) = operation == Neg ? (SourceImmediate, R0) : (SourceRegister, R2);
        Assert.Equal(expected, Bytecode.Compute(a, b, new Instruction((byte)(ClassAlu | operation | source), R1, register, variant, 0)));
    }

    [Fact]
    public void Immediates_are_sign_extended_also_where_the_operation_is_unsigned()
    {
        Assert.Equal(1UL, Bytecode.Compute(Minus1, 0, new Instruction(ClassAlu64 | Div, R1, 0, 0, -1)));
        Assert.Equal(0UL, Bytecode.Compute(0xffff_ffff, 0, new Instruction(ClassAlu64 | Div, R1, 0, 0, -1)));
        Assert.Equal(1UL, Bytecode.Compute(Minus1, 0, new Instruction(ClassAlu | Div, R1, 0, 0, -1)));
        Assert.Equal(Minus1, Bytecode.Compute(0, 0, new Instruction(ClassAlu64 | Mov, R1, 0, 0, -1)));
        Assert.Equal(0xffff_ffffUL, Bytecode.Compute(0, 0, new Instruction(ClassAlu | Mov, R1, 0, 0, -1)));
    }

    [Theory]
    [InlineData(ClassAlu, SourceRegister, 16, 0x2211UL)] // big-endian order
    [InlineData(ClassAlu, SourceRegister, 32, 0x4433_2211UL)]
    [InlineData(ClassAlu, SourceRegister, 64, 0x8877_6655_4433_2211UL)]
    [InlineData(ClassAlu, SourceImmediate, 16, 0x1122UL)] // little-endian order only cuts
    [InlineData(ClassAlu, SourceImmediate, 32, 0x1122_3344UL)]
    [InlineData(ClassAlu, SourceImmediate, 64, 0x1122_3344_5566_7788UL)]
    [InlineData(ClassAlu64, SourceImmediate, 16, 0x2211UL)] // always
    [InlineData(ClassAlu64, SourceImmediate, 32, 0x4433_2211UL)]
    [InlineData(ClassAlu64, SourceImmediate, 64, 0x8877_6655_4433_2211UL)]
    public void Byte_swaps_take_the_low_bits_and_clear_the_rest(byte kind, byte source, int width, ulong expected)
    {
        var value = width switch { 16 => 0xffff_ffff_ffff_1122UL, 32 => 0xffff_ffff_1122_3344UL, _ => 0x1122_3344_5566_7788UL };
        Assert.Equal(expected, Bytecode.Compute(value, 0, new Instruction((byte)(kind | End | source), R1, 0, 0, width)));
    }
}
