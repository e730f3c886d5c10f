using Skep.Bpf.Compiler;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Fuzz.Programs;

namespace Skep.Bpf.Tests.Interpretation;

/// <summary>What the compiler made of a random program does what the CLR does. No kernel is needed.</summary>
public class RandomProgramTests
{
    private const int Programs = 60;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Random_programs_do_as_bytecode_what_they_do_in_the_clr(int level)
    {
        var target = new CompileTarget { IsaLevel = level };
        var results = new ProgramGenerator(1000 + level).Generate(Programs).Select(type => ProgramTrial.Run(type, target, inKernel: false)).ToArray();
        Assert.Equal("", string.Join('\n', results.Where(static r => r.Outcome == TrialOutcome.Failed).Select(static r => r.Problem)));

        // Before level 3 there are no atomic operations with a result, which some of the programs use.
        Assert.InRange(results.Count(static r => r.Rule == Rule.InstructionSet), 0, Programs / 2);
        var refused = results.Where(static r => r.Rule is not null and not Rule.InstructionSet).Select(static r => r.Problem).ToArray();
        Assert.True(refused.Length <= 1, string.Join('\n', refused));
    }
}
