using System.Diagnostics;
using System.Globalization;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Fuzz.Programs;

namespace Skep.Fuzz;

/// <summary>Random C# programs, well-typed ones, in the CLR, in the bytecode interpreter and in the kernel: all do the same.</summary>
internal static class ProgramFuzz
{
    private const int PerAssembly = 100;
    private const int MostFindings = 5;
    private const int CheckedOf = 5; // our own check takes as long as the compiler; no divisor of what the targets change with, so that it sees all of them

    /// <summary>Runs; false when engines differ, or the kernel rejects what the compiler made.</summary>
    public static bool Run(FuzzOptions options)
    {
        var progress = new Progress("programs", options.Count, "programs");
        var outcomes = new long[Enum.GetValues<TrialOutcome>().Length];
        var refused = new SortedDictionary<string, long>(StringComparer.Ordinal);
        var seed = (int)options.Seed;
        var began = Stopwatch.GetTimestamp();
        long done = 0;
        for (; done < options.Count && Stopwatch.GetElapsedTime(began).TotalMinutes < options.Minutes; seed++)
        {
            var target = ProgramTrial.TargetOf(seed);
            if (options.Program is not null)
            {
                target = target with { Dump = static (stage, text) => Console.WriteLine($"==== {stage}\n{text}") };
            }

            foreach (var type in new ProgramGenerator(seed).Generate((int)Math.Min(PerAssembly, options.Count - done)))
            {
                if (options.Program is not null && type.Name != options.Program)
                {
                    done++;
                    continue;
                }

                var (outcome, problem, rule) = ProgramTrial.Run(type, target, inKernel: true, isChecked: seed % CheckedOf == 0);
                if (outcome == TrialOutcome.Failed && outcomes[(int)TrialOutcome.Failed] < MostFindings)
                {
                    Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"programs: {type.Name} of seed {seed}: {problem}"));
                }

                // What only needs a later instruction set is no news.
                if (outcome == TrialOutcome.TooComplex || (rule is not null and not Rule.InstructionSet))
                {
                    Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"programs: {type.Name} of seed {seed} is {outcome}: {problem}"));
                }

                if (rule is not null)
                {
                    refused[rule] = refused.GetValueOrDefault(rule) + 1;
                }

                outcomes[(int)outcome]++;
                done++;
                progress.Report(done);
            }
        }

        progress.Finish(done, string.Create(
            CultureInfo.InvariantCulture,
            $"seeds {options.Seed} to {seed - 1}; {outcomes[(int)TrialOutcome.Equal]} the same in CLR, interpreter and kernel; {outcomes[(int)TrialOutcome.Refused]} refused by the compiler"
            + $"{string.Concat(refused.Select(static r => $", {r.Key} {r.Value}"))}; {outcomes[(int)TrialOutcome.TooComplex]} too much for the verifier; {outcomes[(int)TrialOutcome.Failed]} differ or are rejected"));
        return outcomes[(int)TrialOutcome.Failed] == 0;
    }
}
