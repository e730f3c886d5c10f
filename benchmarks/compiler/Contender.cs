using Skep.Benchmarks.Compiler.Suite;
using Skep.Bpf;
using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Benchmarks.Compiler;

/// <summary>A compiler under comparison: gives the bytecode of an algorithm for the maps of an instance of it.</summary>
/// <param name="Name">What the rows call it.</param>
/// <param name="Compile">Compiles for the instruction set level 3.</param>
internal sealed record Contender(string Name, Func<Algorithm, ProgramSpec> Compile)
{
    internal static Contender Ours { get; } = new("skep", static algorithm => ProgramCompiler.Compile(algorithm, new CompileTarget { IsaLevel = 3 }));

    internal static Contender Clang(string compiler) => new(compiler, algorithm =>
    {
        var source = Path.Combine(AppContext.BaseDirectory, "Suite", algorithm.GetType().Name + ".c");
        var maps = ProgramGraph.Maps(algorithm).ToDictionary(static m => m.Name);
        return ClangObject.CompileBy([compiler], source).Object.Program("xdp", algorithm.Name, maps);
    });

    /// <summary>Compiles and loads.</summary>
    /// <exception cref="InvalidOperationException">The kernel refuses what this compiler made.</exception>
    internal LoadedProgram Load(Algorithm algorithm)
    {
        try
        {
            return ProgramLoader.Load(Compile(algorithm));
        }
        catch (BpfException e)
        {
            throw new InvalidOperationException($"{algorithm.Name} by {Name}: {e.Message}", e);
        }
    }
}
