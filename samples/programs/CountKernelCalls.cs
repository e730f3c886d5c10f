using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Samples.Programs;

/// <summary>Counts the calls of any kernel function that may be probed.</summary>
public sealed class CountKernelCalls(string function) : KprobeProgram
{
    public Global<ulong> Calls { get; } = new("calls");

    public override string Section { get; } = "kprobe/" + function;

    public override void Run(ref RegistersContext context) => Interlocked.Increment(ref Calls.Value);

    public Link Attach()
    {
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(this));
        return KprobeLink.Attach(program);
    }
}
