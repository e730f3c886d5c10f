using Skep.Bpf.Asm;
using static Skep.Bpf.Asm.OpCodes;
using static Skep.Bpf.Asm.Register;

namespace Skep.Bpf.Tests.Interpretation;

public class MemoryTests
{
    private const ulong Number = 0x8182_8384_8586_8788;

    [Theory]
    [InlineData(SizeB, ModeMem, 0x88UL)]
    [InlineData(SizeH, ModeMem, 0x8788UL)]
    [InlineData(SizeW, ModeMem, 0x8586_8788UL)]
    [InlineData(SizeDw, ModeMem, Number)]
    [InlineData(SizeB, ModeMemSx, 0xffff_ffff_ffff_ff88UL)]
    [InlineData(SizeH, ModeMemSx, 0xffff_ffff_ffff_8788UL)]
    [InlineData(SizeW, ModeMemSx, 0xffff_ffff_8586_8788UL)]
    public void Loads_extend_with_zeros_or_the_sign(byte size, byte mode, ulong expected) => Assert.Equal(expected, Bytecode.Compute(Number, 0, p => p
        .Store(SizeDw, R10, -8, R1).Emit(new Instruction((byte)(ClassLdx | mode | size), R1, R10, -8, 0))));

    [Theory]
    [InlineData(SizeB, 0x8182_8384_8586_87feUL)]
    [InlineData(SizeH, 0x8182_8384_8586_fffeUL)]
    [InlineData(SizeW, 0x8182_8384_ffff_fffeUL)]
    [InlineData(SizeDw, 0xffff_ffff_ffff_fffeUL)]
    public void Stores_write_only_their_width(byte size, ulong expected)
    {
        Assert.Equal(expected, Bytecode.Compute(Number, 0, p => p
            .Store(SizeDw, R10, -512, R1).StoreImmediate(size, R10, -512, -2).Load(SizeDw, R1, R10, -512)));
        Assert.Equal(expected, Bytecode.Compute(Number, unchecked((ulong)-2), p => p
            .Store(SizeDw, R10, -512, R1).Store(size, R10, -512, R2).Load(SizeDw, R1, R10, -512)));
    }

    [Theory]
    [InlineData(AtomicAdd, 12UL)]
    [InlineData(AtomicOr, 15UL)]
    [InlineData(AtomicAnd, 5UL)]
    [InlineData(AtomicXor, 10UL)]
    [InlineData(AtomicXchg, 7UL)]
    [InlineData(AtomicCmpXchg, 7UL)]
    public void Atomics_change_memory(int kind, ulong expected)
    {
        // R0 is 7, which is what the comparison expects, so the memory it finds is 7 for it.
        var (before, operand) = kind switch
        {
            AtomicCmpXchg => (7UL, 7UL),
            AtomicXchg => (5UL, 7UL),
            AtomicAdd => (5UL, 7UL),
            _ => (13UL, 7UL),
        };
        Assert.Equal(expected, Bytecode.Compute(before, operand, p => Atomic(p, SizeDw, kind).Load(SizeDw, R1, R10, -8)));

        // 32 bits leave the four bytes above alone.
        Assert.Equal(0xff_0000_0000 | expected, Bytecode.Compute(0xff_0000_0000 | before, operand, p => Atomic(p, SizeW, kind).Load(SizeDw, R1, R10, -8)));
    }

    [Theory]
    [InlineData(SizeDw, 0xff_0000_000dUL)]
    [InlineData(SizeW, 0x0000_000dUL)]
    public void Fetching_atomics_give_what_was_there(byte size, ulong expected)
    {
        foreach (var kind in new[] { AtomicAdd | AtomicFetch, AtomicOr | AtomicFetch, AtomicAnd | AtomicFetch, AtomicXor | AtomicFetch, AtomicXchg })
        {
            Assert.Equal(expected, Bytecode.Compute(0xff_0000_000d, 7, p => Atomic(p, size, kind).MoveRegister(R1, R2)));
        }
    }

    [Fact]
    public void Compare_and_exchange_gives_what_was_there_and_stores_only_on_equality()
    {
        Assert.Equal(8UL, Bytecode.Compute(8, 1, p => Atomic(p, SizeDw, AtomicCmpXchg).MoveRegister(R1, R0)));
        Assert.Equal(8UL, Bytecode.Compute(8, 1, p => Atomic(p, SizeDw, AtomicCmpXchg).Load(SizeDw, R1, R10, -8)));
        Assert.Equal(1UL, Bytecode.Compute(7, 1, p => Atomic(p, SizeDw, AtomicCmpXchg).Load(SizeDw, R1, R10, -8)));

        // Only the lower half is compared, and the upper half of R0 is zero afterwards.
        Assert.Equal(7UL, Bytecode.Compute(7, 1, p => Atomic(p.LoadImmediate64(R0, 0xf_0000_0007), SizeW, AtomicCmpXchg).MoveRegister(R1, R0)));
        Assert.Equal(1UL, Bytecode.Compute(7, 1, p => Atomic(p.LoadImmediate64(R0, 0xf_0000_0007), SizeW, AtomicCmpXchg).Load(SizeDw, R1, R10, -8)));
    }

    private static Assembler Atomic(Assembler program, byte size, int kind) => program.Store(SizeDw, R10, -8, R1).Atomic(size, kind, R10, -8, R2);
}
