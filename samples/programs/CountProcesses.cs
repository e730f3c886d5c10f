using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Samples.Programs;

/// <summary>Counts new processes and threads whose parent is one process, by a tracepoint with typed arguments.</summary>
public sealed class CountProcesses(int parent) : RawTracepointProgram
{
    private readonly uint _parent = (uint)parent;

    public Global<ulong> Started { get; } = new("started");

    // Arguments: the parent, the child (struct task_struct).
    public override string Tracepoint => "sched_process_fork";

    public override void Run(ref RawTracepointContext context)
    {
        if (Helper.GetCurrentPidTgid() >> 32 == _parent)
        {
            Interlocked.Increment(ref Started.Value);
        }
    }

    public Link Attach()
    {
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(this));
        return RawTracepointLink.Attach(program);
    }
}
