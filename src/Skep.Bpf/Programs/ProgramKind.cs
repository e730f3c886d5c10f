using Skep.Bpf.Programming;

namespace Skep.Bpf.Programs;

/// <summary>A kind of program: a row of the one table (<see cref="ProgramKinds"/>) that API, loader, probes and documentation read.</summary>
/// <param name="Name">Name, unique in the table.</param>
/// <param name="Type">Program type of the kernel.</param>
/// <param name="Program">The C# class such a program derives from; null when there is none, and programs come from object files only.</param>
/// <param name="MinimumKernel">First version that loads it.</param>
public sealed record ProgramKind(string Name, ProgramType Type, Type? Program, Version MinimumKernel)
{
    /// <summary>What it is good for, in a few words.</summary>
    public required string Use { get; init; }

    /// <summary>What holds the attachment, for example "link on an interface", with the first kernel where that is later than the kind.</summary>
    public required string Attachment { get; init; }

    /// <summary>What the kernel makes of the value returned.</summary>
    public required string Returns { get; init; }

    /// <summary>Page of the documentation, a file of <c>docs/programs</c> without extension; kinds that differ little share one.</summary>
    public required string Page { get; init; }

    /// <summary>Names of sections for this kind, as libbpf uses them; the first is the usual one.</summary>
    public required IReadOnlyList<ProgramSection> Sections { get; init; }

    /// <summary>For kinds that attach by BTF: a target that every kernel with the kind has, for the probe; else null.</summary>
    public string? ProbeTarget { get; init; }

    /// <summary>The smallest value a program of this kind may return, for the probe.</summary>
    public int ProbeReturns { get; init; }

    /// <summary>A directory or file that says that there is something to attach to; null when loading tells it.</summary>
    public string? ProbePath { get; init; }

    /// <summary>A struct of the kernel that is there only together with the kind; null when loading tells it.</summary>
    public string? ProbeType { get; init; }

    /// <summary>The C# type of the context, or null when there is none.</summary>
    public Type? Context => Program?.GetMethod("Run")?.GetParameters()[0].ParameterType.GetElementType();
}

/// <summary>A section name of libbpf's convention, and what it says about the program.</summary>
/// <param name="Name">The name, without target.</param>
/// <param name="Attach">Expected attach type at load, where there is one.</param>
/// <param name="Flags">Flags of the load.</param>
/// <param name="TakesTarget">Whether a slash and a target (a function, a tracepoint, a hook) may follow.</param>
public sealed record ProgramSection(string Name, AttachType? Attach = null, ProgramFlags Flags = ProgramFlags.None, bool TakesTarget = false);

/// <summary>A section name that was understood.</summary>
/// <param name="Kind">The kind of program.</param>
/// <param name="Section">The row of its sections.</param>
/// <param name="Target">What follows the slash, or null.</param>
public sealed record SectionMatch(ProgramKind Kind, ProgramSection Section, string? Target);
