using Skep.Bpf.Asm;
using Skep.Bpf.Btf;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Programs;

/// <summary>
/// A program ready to be loaded: deterministic, independent of the running kernel's descriptors.
/// Map references are patched and maps without storage created at load.
/// </summary>
public sealed class ProgramSpec
{
    /// <summary>Name in the kernel; 15 characters are kept.</summary>
    public required string Name { get; init; }

    /// <summary>Program type.</summary>
    public required ProgramType Type { get; init; }

    /// <summary>Expected attach type, where the type needs one at load.</summary>
    public AttachType? ExpectedAttachType { get; init; }

    /// <summary>For BTF-typed tracepoints: the tracepoint's name, for example <c>kfree_skb</c>.</summary>
    public string? AttachTarget { get; init; }

    /// <summary>Flags of the load.</summary>
    public ProgramFlags Flags { get; init; }

    /// <summary>Licence.</summary>
    public string License { get; init; } = "GPL";

    /// <summary>The code; wide loads take two slots.</summary>
    public required IReadOnlyList<Instruction> Instructions { get; init; }

    /// <summary>Slots whose immediates are to be replaced by maps.</summary>
    public IReadOnlyList<MapReference> MapReferences { get; init; } = [];

    /// <summary>Source position of runs of instructions, ordered by slot; empty when unknown.</summary>
    public IReadOnlyList<SourceLine> Lines { get; init; } = [];

    /// <summary>Functions in the code: at least the main one at slot 0.</summary>
    public IReadOnlyList<FunctionEntry> Functions { get; init; } = [];

    /// <summary>Calls of kernel functions, by name; the numbers of their types are in the code.</summary>
    public IReadOnlyList<KernelFunctionReference> KernelFunctions { get; init; } = [];

    /// <summary>
    /// Slots of calls and wide loads that take a function or variable of a kernel module; the numbers of their types are in the code.
    /// </summary>
    public IReadOnlyList<ModuleReference> ModuleReferences { get; init; } = [];

    /// <summary>For struct_ops: the kernel's struct of functions that this program is one of; <see cref="ExpectedAttachType"/> is which.</summary>
    public KernelTypeId? AttachType { get; init; }

    /// <summary>Types and source lines as an object file has them; made from <see cref="Functions"/> and <see cref="Lines"/> when null.</summary>
    internal ObjectProgramTypes? ObjectTypes { get; init; }

    /// <summary>Slots that the verifier refuses unless they are dead code, and why: what they ask for is not in this kernel.</summary>
    internal IReadOnlyDictionary<int, string> Poison { get; init; } = new Dictionary<int, string>();

    /// <summary>What the slots of the program arrays that the code refers to hold. A program may call itself, so specs may form circles.</summary>
    public IReadOnlyList<TailTarget> TailTargets { get; init; } = [];

    /// <summary>This program, and all that can be reached from it by tail calls, each once.</summary>
    public IReadOnlyList<ProgramSpec> Reachable
    {
        get
        {
            var found = new List<ProgramSpec> { this };
            for (var i = 0; i < found.Count; i++)
            {
                found.AddRange(found[i].TailTargets.Select(static t => t.Program).Distinct().Except(found).ToArray());
            }

            return found;
        }
    }

    /// <summary>All maps the code refers to, each once.</summary>
    public IReadOnlyList<BpfMap> Maps => [.. MapReferences.Select(r => r.Map).Distinct()];
}

/// <summary>A program in a slot of a program array.</summary>
/// <param name="Array">The array.</param>
/// <param name="Slot">The slot.</param>
/// <param name="Program">The program.</param>
public sealed record TailTarget(ProgramArray Array, uint Slot, ProgramSpec Program);

/// <summary>A wide load that takes a map: its descriptor, or the address of a value.</summary>
/// <param name="Slot">Slot of the first half.</param>
/// <param name="Map">The map.</param>
/// <param name="ValueOffset">Null for the map itself; else the byte offset into the map's first value.</param>
public readonly record struct MapReference(int Slot, BpfMap Map, uint? ValueOffset = null);

/// <summary>A call of a kernel function.</summary>
/// <param name="Slot">Slot of the call.</param>
/// <param name="Name">Name of the function.</param>
public readonly record struct KernelFunctionReference(int Slot, string Name);

/// <summary>A call or wide load that takes a function or variable of a kernel module.</summary>
/// <param name="Slot">Slot of the call, or of the first half of the load.</param>
/// <param name="Module">Name of the module.</param>
public readonly record struct ModuleReference(int Slot, string Module);

/// <summary>Types and source lines of a program of an object file, as the kernel takes them.</summary>
/// <param name="Btf">The object's types.</param>
/// <param name="Functions">Records of 8 bytes: first slot, number of the function's type.</param>
/// <param name="Lines">Records of 16 bytes: slot, file, text, position.</param>
internal sealed record ObjectProgramTypes(ObjectBtf Btf, byte[] Functions, byte[] Lines);

/// <summary>Source position from a slot on.</summary>
/// <param name="Slot">First slot.</param>
/// <param name="File">Path of the C# file.</param>
/// <param name="Line">Line, from 1.</param>
/// <param name="Column">Column, from 1.</param>
/// <param name="Text">Text of the line when the file was at hand, else empty.</param>
public readonly record struct SourceLine(int Slot, string File, int Line, int Column, string Text);

/// <summary>A function that begins at a slot.</summary>
/// <param name="Slot">First slot.</param>
/// <param name="Name">Name in the kernel.</param>
public readonly record struct FunctionEntry(int Slot, string Name)
{
    /// <summary>What it takes; null for a program's main function, which takes the context.</summary>
    public IReadOnlyList<FunctionParameter>? Parameters { get; init; }

    /// <summary>What it returns, where <see cref="Parameters"/> are given.</summary>
    public FunctionParameter Result { get; init; }

    /// <summary>The kernel verifies it by itself, for any arguments of these types (kernel 5.6).</summary>
    public bool IsGlobal { get; init; }
}
