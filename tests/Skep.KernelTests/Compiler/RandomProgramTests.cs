using Skep.Bpf.Compiler.Diagnostics;

namespace Skep.KernelTests.Compiler;

/// <summary>Random programs do in the kernel and in the bytecode interpreter what they do in the CLR; <c>Skep.Fuzz programs</c> runs as many as one likes.</summary>
public class RandomProgramTests
{
    private const int Programs = 150;
    private const int PerAssembly = 50;

    [KernelFact]
    public void Random_programs_do_in_the_kernel_what_they_do_in_the_clr()
    {
        Kernel.Require();
        var results = new List<TrialVerdict>();
        for (var seed = 1; results.Count < Programs; seed++)
        {
            results.AddRange(new ProgramGenerator(seed).Generate(PerAssembly).Select(type => ProgramTrial.Run(type, ProgramTrial.TargetOf(seed), inKernel: true)));
        }

        var failed = results.Where(static r => r.Outcome == TrialOutcome.Failed).Select(static r => r.Problem).ToArray();
        Assert.True(failed.Length == 0, string.Join('\n', failed.Take(5)));
        var refused = results.Where(static r => r.Rule is not null and not Rule.InstructionSet).Select(static r => r.Problem).ToArray();
        Assert.True(refused.Length * 100 <= Programs, string.Join('\n', refused));

        // The verifier may give up on a nest of loops; that is its right, but it must stay rare.
        var complex = results.Count(static r => r.Outcome == TrialOutcome.TooComplex);
        Assert.True(complex * 50 <= Programs, $"{complex} of {Programs} random programs are too much for the verifier");
    }
}
