using Skep.Bpf.Programs;
using Skep.Bpf.Verification;
using Skep.Corpus;

namespace Skep.KernelTests.Verification;

/// <summary>The kernel rejects every program of the corpus, and its words lead to the rule that the program breaks.</summary>
public class RejectedCorpusTests
{
    [KernelFact]
    public void Every_program_is_rejected_for_its_rule()
    {
        List<string> wrong = [];
        var programs = RejectedCorpus.Read().ToArray();
        foreach (var (title, rule, spec) in programs)
        {
            try
            {
                ProgramLoader.Load(spec).Dispose();
                wrong.Add($"{title}: accepted");
            }
            catch (VerifierException e) when (e.RuleId == rule && e.Mend is { Length: > 0 })
            {
            }
            catch (VerifierException e)
            {
                wrong.Add($"{title}: {e.RuleId} instead of {rule}: {e.Complaint}");
            }
        }

        foreach (var map in programs.SelectMany(p => p.Spec.Maps).Distinct())
        {
            map.Dispose();
        }

        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
        Assert.True(programs.Length > 60, $"only {programs.Length} programs");
    }
}
