using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Samples.Programs;

/// <summary>Answers in the place of a function that is open to it: EACCES for one process, whose calls never reach the function.</summary>
public sealed class RefuseCall(string function, int process) : ModifyReturnProgram
{
    private const int AccessDenied = 13;
    private readonly uint _process = (uint)process;

    public override string Section { get; } = "fmod_ret/" + function;

    public override int Run(ref RawTracepointContext context) => Helper.GetCurrentPidTgid() >> 32 == _process ? -AccessDenied : 0;

    public Link Attach()
    {
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(this));
        return RawTracepointLink.Attach(program);
    }
}
