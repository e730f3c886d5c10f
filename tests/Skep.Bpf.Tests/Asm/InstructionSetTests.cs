using Skep.Bpf.Asm;
using static Skep.Bpf.Asm.OpCodes;

namespace Skep.Bpf.Tests.Asm;

/// <summary>The level of an instruction is the one by whose name compilers first use it.</summary>
public class InstructionSetTests
{
    [Theory]
    [InlineData(1, ClassAlu64 | Add, 0, 0)]
    [InlineData(1, ClassAlu | End | SourceRegister, 0, 16)]
    [InlineData(1, LoadImmediate64, 0, 7)]
    [InlineData(1, ClassSt | ModeMem | SizeW, 4, 7)]
    [InlineData(1, ClassStx | ModeAtomic | SizeDw, 0, AtomicAdd)]
    [InlineData(1, ClassJmp | Jgt, 3, 0)]
    [InlineData(1, ClassJmp | Jset, 3, 1)]
    [InlineData(1, CallInstruction, 0, 1)]
    [InlineData(1, ExitInstruction, 0, 0)]
    [InlineData(2, ClassJmp | Jlt, 3, 0)]
    [InlineData(2, ClassJmp | Jsle | SourceRegister, 3, 0)]
    [InlineData(3, ClassAlu | Mov | SourceRegister, 0, 0)]
    [InlineData(3, ClassJmp32 | Jeq, 3, 0)]
    [InlineData(3, ClassStx | ModeAtomic | SizeDw, 0, AtomicAdd | AtomicFetch)]
    [InlineData(3, ClassStx | ModeAtomic | SizeW, 0, AtomicOr)]
    [InlineData(3, ClassStx | ModeAtomic | SizeW, 0, AtomicCmpXchg)]
    [InlineData(4, ClassAlu64 | Mov | SourceRegister, 8, 0)]
    [InlineData(4, ClassAlu | Div, 1, 3)]
    [InlineData(4, ClassAlu64 | End, 0, 32)]
    [InlineData(4, ClassLdx | ModeMemSx | SizeB, 0, 0)]
    [InlineData(4, ClassJmp32 | Ja, 0, 9)]
    [InlineData(InstructionSet.Later, ClassJmp | Jcond, 1, 0)]
    [InlineData(InstructionSet.Later, ClassStx | ModeAtomic | SizeDw, 0, AtomicLoadAcquire)]
    public void Levels_are_those_of_the_compilers(int level, byte code, short offset, int immediate) =>
        Assert.Equal(level, InstructionSet.LevelOf(new Instruction(code, 1, 0, offset, immediate)));
}
