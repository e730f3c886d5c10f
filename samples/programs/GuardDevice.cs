using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Samples.Programs;

/// <summary>Keeps a control group from one character device.</summary>
public sealed class GuardDevice(uint major, uint minor) : CgroupDeviceProgram
{
    private const uint Character = 2;
    private readonly uint _major = major, _minor = minor;

    public override CgroupVerdict Run(ref CgroupDeviceContext context) =>
        (context.AccessType & 0xffff) == Character && context.Major == _major && context.Minor == _minor
            ? CgroupVerdict.Refuse
            : CgroupVerdict.Allow;

    public Link Attach(string cgroup)
    {
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(this));
        return CgroupLink.Attach(program, cgroup);
    }
}
