using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Samples.Programs;

/// <summary>Samples where one process spends its time: in itself or in the kernel.</summary>
public sealed class SampleProcess : PerfEventProgram
{
    public Global<ulong> InProcess { get; } = new("inProcess");

    public Global<ulong> InKernel { get; } = new("inKernel");

    public override void Run(ref PerfEventContext context)
    {
        // x86-64: the lowest two bits of the code segment are the privilege level, 3 for processes.
        if ((context.CodeSegment & 3) == 3)
        {
            Interlocked.Increment(ref InProcess.Value);
        }
        else
        {
            Interlocked.Increment(ref InKernel.Value);
        }
    }

    /// <summary>Attaches it to one thread, at most a thousand times a second.</summary>
    public Link Attach(int thread)
    {
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(this));
        return PerfEventLink.AttachSampling(program, frequency: 999, processId: thread);
    }
}
