using Skep.Fuzz;

namespace Skep.KernelTests.Conformance;

/// <summary>The packets that both engines must agree on.</summary>
internal static class Agreement
{
    private const int MutatedPackets = 5000;

    /// <summary>The corpus twice: the second time the state of the first is there.</summary>
    public static void OnCorpus(EnginePair engines)
    {
        foreach (var packet in PacketCorpus.All.Concat(PacketCorpus.All))
        {
            var difference = engines.Run(packet.Bytes);
            Assert.True(difference is null, $"{packet.Name}: {difference}");
        }

        Assert.Empty(engines.CompareMaps());
    }

    public static void OnMutations(EnginePair engines)
    {
        var mutator = new PacketMutator(PacketCorpus.All, seed: 2026);
        for (var i = 0; i < MutatedPackets; i++)
        {
            var difference = engines.Run(mutator.Next());
            Assert.True(difference is null, $"mutated packet {i}: {difference}");
        }

        Assert.Empty(engines.CompareMaps());
    }
}
