using System.Globalization;
using Skep.Bpf;
using Skep.Bpf.Asm;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using Skep.Bpf.Verification;

namespace Skep.Fuzz;

/// <summary>Mutated bytecode before the kernel's verifier and our own: what the kernel accepts, ours accepts. Nothing is attached or run.</summary>
internal static class VerifyFuzz
{
    private const int MostFindings = 20;

    /// <summary>Runs; false when ours rejects what the kernel accepts, or cannot take a program.</summary>
    public static bool Run(FuzzOptions options)
    {
        var seeds = VerifySeeds.Make();
        var mutator = new BytecodeMutator(options.Seed, seeds);
        var progress = new Progress("verify", options.Count, "programs");
        var tally = new Tally();
        try
        {
            for (long number = 0; number < options.Count && tally.Findings < MostFindings; number++)
            {
                var mutant = mutator.Next();
                if (Compare(mutant, tally) is { } problem)
                {
                    tally.Findings++;
                    Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"verify: program {number} of seed {options.Seed}: {problem}\n{Disassembler.Disassemble(mutant)}"));
                }

                if ((number & 0xff) == 0)
                {
                    progress.Report(number);
                }
            }
        }
        finally
        {
            foreach (var map in seeds.SelectMany(static s => s.Maps).Distinct())
            {
                map.Dispose();
            }
        }

        progress.Finish(options.Count, tally.ToString());
        return tally.Findings == 0;
    }

    private static string? Compare(ProgramSpec mutant, Tally tally)
    {
        CheckFailure? ours;
        try
        {
            ours = ProgramCheck.Run(mutant).Failure;
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            return e.ToString();
        }

        try
        {
            ProgramLoader.Load(mutant).Dispose();
        }
        catch (VerifierException e)
        {
            tally.Rejected(ours?.RuleId, e.RuleId ?? "");
            return null;
        }
        catch (BpfException e) when (e.ErrorNumber is Errno.Invalid or Errno.TooBig or Errno.NoMemory)
        {
            // Before the verifier looks at it: no log, no rule.
            tally.Rejected(ours?.RuleId, "");
            return null;
        }

        tally.Accepted++;
        return ours is null ? null : $"the kernel accepts it, our own check does not: {ours}";
    }

    private sealed class Tally
    {
        private readonly SortedDictionary<string, int> _kernelAlone = [];
        private int _same, _other;

        public int Accepted { get; set; }

        public int Findings { get; set; }

        public void Rejected(string? ours, string kernels)
        {
            if (ours is null)
            {
                _kernelAlone[kernels] = _kernelAlone.GetValueOrDefault(kernels) + 1;
            }
            else if (ours == kernels)
            {
                _same++;
            }
            else
            {
                _other++;
            }
        }

        public override string ToString() => string.Create(
            CultureInfo.InvariantCulture,
            $"{Accepted} accepted by the kernel, {Findings} of these not by us; rejected by both {_same} for the same rule, {_other} for different ones; by the kernel alone {_kernelAlone.Values.Sum()}: {string.Join(", ", _kernelAlone.Select(r => $"{r.Key} {r.Value}"))}");
    }
}
