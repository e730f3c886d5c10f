using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Samples.Programs;

/// <summary>A security hook: refuses one process what the hook guards.</summary>
public sealed class RefuseProcess(string hook, int process) : LsmProgram
{
    private const int NotPermitted = 1;
    private readonly uint _process = (uint)process;

    public override string Section { get; } = "lsm/" + hook;

    public override int Run(ref RawTracepointContext context) => Helper.GetCurrentPidTgid() >> 32 == _process ? -NotPermitted : 0;

    public Link Attach()
    {
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(this));
        return RawTracepointLink.Attach(program);
    }
}
