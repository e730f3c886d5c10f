using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Samples.Programs;

/// <summary>Lets a control group read everything under /proc/sys, and write nothing below <c>net</c>.</summary>
public sealed unsafe class GuardSysctls : CgroupSysctlProgram
{
    public Global<ulong> Refused { get; } = new("refused");

    public override CgroupVerdict Run(ref CgroupSysctlContext context)
    {
        if (context.Write == 0)
        {
            return CgroupVerdict.Allow;
        }

        var name = stackalloc byte[64];
        if (context.GetName(name, 64, 0) > 0 && name[0] == 'n' && name[1] == 'e' && name[2] == 't' && name[3] == '/')
        {
            Interlocked.Increment(ref Refused.Value);
            return CgroupVerdict.Refuse;
        }

        return CgroupVerdict.Allow;
    }

    public Link Attach(string cgroup)
    {
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(this));
        return CgroupLink.Attach(program, cgroup);
    }
}
