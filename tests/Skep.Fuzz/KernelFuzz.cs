namespace Skep.Fuzz;

/// <summary>The same packets through the kernel and the twin.</summary>
internal static class KernelFuzz
{
    /// <summary>Runs; false at the first difference, with the packet written as pcap.</summary>
    public static bool Run(string name, FuzzOptions options)
    {
        using var engines = new EnginePair(bind =>
        {
            var target = FuzzTarget.Create(name, TimeProvider.System, bind);
            return (target.Programs, target.Maps);
        });
        var mutator = new PacketMutator(PacketCorpus.All, options.Seed);
        var progress = new Progress($"kernel {name}", options.Count);
        for (long number = 0; number < options.Count; number++)
        {
            var packet = mutator.Next();
            if (engines.Run(packet) is { } difference)
            {
                Finding.Report(options, $"kernel {name}", number, packet, difference);
                return false;
            }

            if ((number & 0xFFF) == 0)
            {
                progress.Report(number);
            }
        }

        var differences = engines.CompareMaps();
        progress.Finish(options.Count, differences.Count == 0 ? "same verdicts, bytes and map contents" : $"{differences.Count} differences between maps");
        foreach (var difference in differences.Take(20))
        {
            Console.Error.WriteLine(difference);
        }

        return differences.Count == 0;
    }
}
