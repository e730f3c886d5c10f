using Skep.Bpf.Programming;
using Skep.Bpf.Twin;
using Skep.Bpf.Twin.Replay;

namespace Skep.Fuzz;

/// <summary>Mutated packets through a program in the process.</summary>
internal static class TwinFuzz
{
    /// <summary>Runs; false when the program threw, with the packet written as pcap.</summary>
    public static bool Run(string name, FuzzOptions options)
    {
        using var twin = new TwinEngine(new TwinOptions { Seed = options.Seed });
        using var target = FuzzTarget.Create(name, twin.Environment.TimeProvider, twin.Bind);
        var engines = target.Programs.Select(p => new TwinReplayEngine(p, twin)).ToArray();
        var mutator = new PacketMutator(PacketCorpus.All, options.Seed);
        var progress = new Progress($"twin {name}", options.Count);
        var verdicts = new Dictionary<(BpfProgram Program, int Verdict), long>();
        var digest = 14695981039346656037ul;
        for (long number = 0; number < options.Count; number++)
        {
            var packet = mutator.Next();
            try
            {
                foreach (var engine in engines)
                {
                    engine.TryRun(packet, (ulong)number * 1000, out var verdict, out var output);
                    digest = (digest ^ ((ulong)verdict << 32) ^ (uint)output.Length ^ Sum(output)) * 1099511628211;
                    verdicts[(engine.Program, verdict)] = verdicts.GetValueOrDefault((engine.Program, verdict)) + 1;
                }
            }
            catch (Exception problem)
            {
                Finding.Report(options, $"twin {name}", number, packet, problem.ToString());
                return false;
            }

            if ((number & 0xFFFF) == 0)
            {
                progress.Report(number);
            }
        }

        var summary = string.Join(", ", verdicts.Select(v => $"{v.Key.Program.Name} {Verdicts.NameOf(v.Key.Program, v.Key.Verdict)} {v.Value}"));
        progress.Finish(options.Count, $"no exception; {summary}; digest {digest:x16}");
        return true;
    }

    /// <summary>Every byte counts in the digest, so that two builds can be compared by one number.</summary>
    private static ulong Sum(ReadOnlySpan<byte> bytes)
    {
        var sum = 0ul;
        foreach (var word in System.Runtime.InteropServices.MemoryMarshal.Cast<byte, ulong>(bytes))
        {
            sum = System.Numerics.BitOperations.RotateLeft(sum, 5) ^ word;
        }

        foreach (var rest in bytes[(bytes.Length & ~7)..])
        {
            sum = System.Numerics.BitOperations.RotateLeft(sum, 5) ^ rest;
        }

        return sum;
    }
}
