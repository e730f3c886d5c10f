using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Samples.Programs;

/// <summary>Counts the calls of a function of a library, and sums up its first argument.</summary>
public sealed class CountCalls : UprobeProgram
{
    public Global<ulong> Calls { get; } = new("calls");

    public Global<ulong> Sum { get; } = new("sum");

    public override void Run(ref RegistersContext context)
    {
        Interlocked.Increment(ref Calls.Value);
        Interlocked.Add(ref Sum.Value, context.Argument0);
    }

    /// <summary>Attaches it, for one process or for all (-1).</summary>
    public Link Attach(string library, string function, int process = -1)
    {
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(this));
        return UprobeLink.Attach(program, UprobePoint.AtFunction(library, function), process);
    }
}
