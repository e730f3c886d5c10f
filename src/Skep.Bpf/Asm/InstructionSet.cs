using static Skep.Bpf.Asm.OpCodes;

namespace Skep.Bpf.Asm;

/// <summary>
/// Instruction set levels as compilers count them: 1 is that of kernel 3.18, 2 (4.14) adds the jumps on less, 3 (5.1) 32-bit arithmetic and jumps and (5.12)
/// atomic operations that return a value, 4 (6.6) sign extension, byte swap, signed division and long jumps.
/// </summary>
public static class InstructionSet
{
    /// <summary>The first level after the numbered ones: what the kernel got later (<c>may_goto</c> 6.9, address spaces 6.9, acquire and release 6.15).</summary>
    public const int Later = 5;

    /// <summary>The level that has <paramref name="instruction"/>: 1 to 4, or <see cref="Later"/>.</summary>
    public static int LevelOf(Instruction instruction)
    {
        var operation = instruction.Code & 0xf0;
        var size = instruction.Code & 0x18;
        return instruction.Class switch
        {
            ClassJmp32 when operation == Ja => 4,
            ClassJmp32 => 3,
            ClassJmp when operation == Jcond => Later,
            ClassJmp when operation is Jlt or Jle or Jslt or Jsle => 2,
            ClassAlu when operation == End => 1,
            ClassAlu64 when operation == End => 4,
            ClassAlu64 when operation == Mov && instruction.Offset == AddressSpaceCast => Later,
            ClassAlu or ClassAlu64 when operation is Mov or Div or Mod && instruction.Offset != 0 => 4,
            ClassAlu => 3,
            ClassLdx when (instruction.Code & 0xe0) == ModeMemSx => 4,
            ClassStx when (instruction.Code & 0xe0) == ModeAtomic => instruction.Immediate switch
            {
                AtomicAdd when size is SizeW or SizeDw => 1,
                AtomicLoadAcquire or AtomicStoreRelease => Later,
                _ => 3,
            },
            _ => 1,
        };
    }
}
