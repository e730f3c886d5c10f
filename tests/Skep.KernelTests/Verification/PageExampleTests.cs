using Skep.Bpf.Compiler;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Bpf.Verification;

namespace Skep.KernelTests.Verification;

/// <summary>The methods of docs/verifier-errors.md: the kernel rejects the one and accepts the other.</summary>
public unsafe class PageExampleTests
{
    [KernelFact]
    public void The_bad_method_is_rejected_as_the_page_says()
    {
        var rejection = Assert.Throws<VerifierException>(() => ProgramLoader.Load(ProgramCompiler.Compile(new Bad())).Dispose());
        Assert.Equal("SKEP1001", rejection.RuleId);
        Assert.Contains("a pointer into the packet, of which 0 bytes from its start are known to exist", rejection.Known);
        Assert.Contains($"error SKEP1001: the verifier rejects program", rejection.Message);
    }

    [KernelFact]
    public void The_mended_method_is_accepted()
    {
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(new Mended()));
        Assert.Equal((int)XdpAction.Pass, program.TestRun(new byte[64]).ReturnValue);
    }

    private sealed class Bad : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            return *(ushort*)(data + 12) == 8 ? XdpAction.Drop : XdpAction.Pass;
        }
    }

    private sealed class Mended : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 14 > context.DataEnd)
            {
                return XdpAction.Pass;
            }

            return *(ushort*)(data + 12) == 8 ? XdpAction.Drop : XdpAction.Pass;
        }
    }
}
