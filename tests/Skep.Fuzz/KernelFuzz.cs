using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;
using Skep.Bpf.Twin.Replay;

namespace Skep.Fuzz;

/// <summary>The same packets through the kernel and the twin.</summary>
internal static class KernelFuzz
{
    /// <summary>Runs; false at the first difference, with the packet written as pcap.</summary>
    public static bool Run(string name, FuzzOptions options)
    {
        using var twin = new TwinEngine(new TwinOptions { Seed = options.Seed });
        using var inTwin = FuzzTarget.Create(name, TimeProvider.System, twin.Bind);
        using var inKernel = FuzzTarget.Create(name, TimeProvider.System, m => m.Bind(KernelMapStorage.Create(m)));
        using var twinEngine = new TwinReplayEngine(inTwin.Program, twin);
        using var kernelEngine = new KernelReplayEngine(
            inKernel.Program, ProgramLoader.Load(ProgramCompiler.Compile(inKernel.Program)));
        var mutator = new PacketMutator(PacketCorpus.All, options.Seed);
        var progress = new Progress($"kernel {name}", options.Count);
        for (long number = 0; number < options.Count; number++)
        {
            var packet = mutator.Next();
            twinEngine.TryRun(packet, (ulong)number * 1000, out var expected, out var expectedOutput);
            kernelEngine.TryRun(packet, 0, out var verdict, out var output);
            if (verdict != expected || !output.SequenceEqual(expectedOutput))
            {
                Finding.Report(options, $"kernel {name}", number, packet, Difference(inTwin, expected, expectedOutput, verdict, output));
                return false;
            }

            if ((number & 0xFFF) == 0)
            {
                progress.Report(number);
            }
        }

        var differences = MapComparison.Differences(inTwin.Maps, inKernel.Maps);
        progress.Finish(options.Count, differences.Count == 0 ? "same verdicts, bytes and map contents" : $"{differences.Count} differences between maps");
        foreach (var difference in differences.Take(20))
        {
            Console.Error.WriteLine(difference);
        }

        return differences.Count == 0;
    }

    private static string Difference(FuzzTarget target, int expected, ReadOnlySpan<byte> expectedOutput, int verdict, ReadOnlySpan<byte> output) =>
        $"""
        twin:   {Verdicts.NameOf(target.Program, expected)} {Convert.ToHexStringLower(expectedOutput)}
        kernel: {Verdicts.NameOf(target.Program, verdict)} {Convert.ToHexStringLower(output)}
        """;
}
