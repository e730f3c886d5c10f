using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Samples.Programs;

/// <summary>Counts one system call of one process, by a tracepoint whose arguments are plain numbers.</summary>
public sealed class CountSystemCalls(int process, uint number) : UntypedTracepointProgram
{
    private readonly uint _process = (uint)process, _number = number;

    public Global<ulong> Calls { get; } = new("calls");

    public override string Section => "raw_tp/sys_enter";

    // Arguments: the registers, the number of the system call.
    public override void Run(ref RawTracepointContext context)
    {
        if (context.Value(1) == _number && Helper.GetCurrentPidTgid() >> 32 == _process)
        {
            Interlocked.Increment(ref Calls.Value);
        }
    }

    public Link Attach()
    {
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(this));
        return RawTracepointLink.Attach(program);
    }
}
