using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Samples.Programs;

/// <summary>Counts the calls of a kernel function, at its entry.</summary>
public sealed class WatchFunction(string function) : FunctionProgram
{
    public Global<ulong> Calls { get; } = new("calls");

    public override string Section { get; } = "fentry/" + function;

    public override void Run(ref RawTracepointContext context) => Interlocked.Increment(ref Calls.Value);

    public Link Attach()
    {
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(this));
        return RawTracepointLink.Attach(program);
    }
}
