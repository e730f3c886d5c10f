using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Samples.Programs;

/// <summary>Gives every IPv4 socket of a control group a mark, by which routes and firewalls know the service.</summary>
public sealed class MarkSockets(uint mark) : CgroupSockProgram
{
    private readonly uint _mark = mark;

    public override string Section => "cgroup/sock_create";

    public override CgroupVerdict Run(ref SocketContext context)
    {
        // Raw sockets are not for this service.
        if (context.Type == 3)
        {
            return CgroupVerdict.Refuse;
        }

        context.Mark = _mark;
        return CgroupVerdict.Allow;
    }

    public Link Attach(string cgroup)
    {
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(this));
        return CgroupLink.Attach(program, cgroup);
    }
}
