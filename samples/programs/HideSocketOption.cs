using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Samples.Programs;

/// <summary>Answers getsockopt(IP_TOS) with a value of its own, whatever the socket has.</summary>
public sealed unsafe class HideSocketOption(byte shown) : CgroupSockoptProgram
{
    private const int Ip = 0, TypeOfService = 1;
    private readonly byte _shown = shown;

    public override string Section => "cgroup/getsockopt";

    public override CgroupVerdict Run(ref CgroupSockoptContext context)
    {
        if (context.Level != Ip || context.OptionName != TypeOfService)
        {
            // 0 leaves the value as the kernel gave it, also when it is longer than a page.
            context.OptionLength = 0;
            return CgroupVerdict.Allow;
        }

        var value = context.OptionValue;
        if (value + 1 > context.OptionValueEnd)
        {
            return CgroupVerdict.Refuse;
        }

        *value = _shown;
        context.OptionLength = 1;
        context.ReturnValue = 0;
        return CgroupVerdict.Allow;
    }

    public Link Attach(string cgroup)
    {
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(this));
        return CgroupLink.Attach(program, cgroup);
    }
}
