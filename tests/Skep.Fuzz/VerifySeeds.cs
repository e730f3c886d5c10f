using Skep.Bpf.Compiler;
using Skep.Bpf.Programs;
using Skep.Corpus;

namespace Skep.Fuzz;

/// <summary>Bytecode that is mutated: what the compiler makes of small programs, and programs that miss being valid by one mistake.</summary>
internal static class VerifySeeds
{
    private static readonly int[] s_levels = [3, 4];

    /// <summary>So many of the first are valid.</summary>
    public static int Valid => IlSeeds.All.Count * s_levels.Length;

    public static IReadOnlyList<ProgramSpec> Make() =>
    [
        .. IlSeeds.All.SelectMany(static p => s_levels.Select(level => Bare(ProgramCompiler.Compile(p, new CompileTarget { IsaLevel = level })))),
        .. RejectedCorpus.Read().Where(static p => p.Spec.Type is ProgramType.Xdp or ProgramType.SchedCls or ProgramType.SocketFilter).Select(static p => Bare(p.Spec)),
    ];

    /// <summary>Without source lines: they would have to begin at instructions.</summary>
    private static ProgramSpec Bare(ProgramSpec spec) => With(spec, spec.Instructions);

    /// <summary>The same program with other code.</summary>
    public static ProgramSpec With(ProgramSpec spec, IReadOnlyList<Bpf.Asm.Instruction> code) => new()
    {
        Name = spec.Name,
        Type = spec.Type,
        ExpectedAttachType = spec.ExpectedAttachType,
        License = spec.License,
        Instructions = code,
        MapReferences = spec.MapReferences,
    };
}
