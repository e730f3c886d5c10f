using System.Reflection;

namespace Skep.Bpf.Compiler;

/// <summary>What the compiler may assume of the kernel that will run the program.</summary>
public sealed record CompileTarget
{
    /// <summary>Instruction set level (RFC 9669 conformance groups as clang numbers them): 3 has 32-bit jumps, 4 has sign extension, byte swap and long jumps.</summary>
    public int IsaLevel { get; init; } = 3;

    /// <summary>
    /// Version of the kernel: it decides how loops are written, and which of two ways to the same end is taken. The oldest that Skep supports unless set;
    /// code for an old kernel runs on a new one.
    /// </summary>
    public Version Kernel { get; init; } = new(5, 15);

    /// <summary>Gives the byte offset of a field of a kernel struct, or null when the kernel has none; absent when there is no BTF.</summary>
    public Func<string, string, KernelFieldLocation?>? KernelFields { get; init; }

    /// <summary>Called with the name and text of each stage of the compilation, for people who read along.</summary>
    public Action<string, string>? Dump { get; init; }

    /// <summary>IL instructions after which a program counts as too large, those of inlined and unrolled code counted each time.</summary>
    internal int MostInstructions { get; init; } = 1_000_000;

    /// <summary>Gives other IL than a method's own, or null: for those who test what the compiler makes of damaged code.</summary>
    internal Func<MethodBase, byte[]?>? BodyOf { get; init; }
}

/// <summary>Where a field of a kernel struct is.</summary>
/// <param name="Offset">Byte offset from the start of the outermost struct.</param>
/// <param name="Size">Size in bytes.</param>
public readonly record struct KernelFieldLocation(int Offset, int Size);
