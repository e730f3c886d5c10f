using System.Reflection;
using Skep.Bpf.Btf;

namespace Skep.Bpf.Compiler;

/// <summary>What the compiler may assume of the kernel that will run the program.</summary>
public sealed record CompileTarget
{
    /// <summary>
    /// Instruction set level, 1 to 4 (<see cref="Asm.InstructionSet"/>): no later instruction is used. What cannot be said in it, atomic operations below 3, is refused.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such level.</exception>
    public int IsaLevel
    {
        get;
        init => field = value is >= 1 and <= 4 ? value : throw new ArgumentOutOfRangeException(nameof(value), value, "the instruction set levels are 1 to 4");
    }
    = 3;

    /// <summary>
    /// Version of the kernel: it decides how loops are written, and which of two ways to the same end is taken. The oldest that Skep supports unless set;
    /// code for an old kernel runs on a new one.
    /// </summary>
    public Version Kernel { get; init; } = new(5, 15);

    /// <summary>Types of the kernel the program is for, usually <see cref="BtfFile.Kernel"/>; null when it has no BTF: its structs then have no known layout.</summary>
    public BtfFile? KernelBtf { get; init; }

    /// <summary>Called with the name and text of each stage of the compilation, for people who read along.</summary>
    public Action<string, string>? Dump { get; init; }

    /// <summary>IL instructions after which a program counts as too large, those of inlined and unrolled code counted each time.</summary>
    internal int MostInstructions { get; init; } = 250_000;

    /// <summary>Is told how many IL instructions a program has been translated from, those of inlined and unrolled code counted each time.</summary>
    internal Action<int>? Translated { get; init; }

    /// <summary>Gives other IL than a method's own, or null: for those who test what the compiler makes of damaged code.</summary>
    internal Func<MethodBase, byte[]?>? BodyOf { get; init; }
}
