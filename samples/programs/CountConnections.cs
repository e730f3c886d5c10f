using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Samples.Programs;

/// <summary>Counts the TCP connections of a control group as they are established and closed.</summary>
public sealed class CountConnections : SockOpsProgram
{
    private const uint Closed = 7;

    public Global<ulong> Established { get; } = new("established");

    public Global<ulong> Ended { get; } = new("ended");

    public override CgroupVerdict Run(ref SockOpsContext context)
    {
        switch ((SockOperation)context.Operation)
        {
            case SockOperation.ActiveEstablished or SockOperation.PassiveEstablished:
                Interlocked.Increment(ref Established.Value);
                context.SetCallbacks(SockCallbacks.State);
                break;
            case SockOperation.State when context.Arguments(1) == Closed:
                Interlocked.Increment(ref Ended.Value);
                break;
        }

        return CgroupVerdict.Allow;
    }

    public Link Attach(string cgroup)
    {
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(this));
        return CgroupLink.Attach(program, cgroup);
    }
}
