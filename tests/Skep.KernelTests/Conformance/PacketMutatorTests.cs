using Skep.Fuzz;

namespace Skep.KernelTests.Conformance;

public class PacketMutatorTests
{
    [Fact]
    public void The_same_seed_makes_the_same_packets()
    {
        var first = new PacketMutator(PacketCorpus.All, 42);
        var again = new PacketMutator(PacketCorpus.All, 42);
        var other = new PacketMutator(PacketCorpus.All, 43);
        var different = 0;
        for (var i = 0; i < 2000; i++)
        {
            var packet = first.Next();
            Assert.True(packet.SequenceEqual(again.Next()));
            different += packet.SequenceEqual(other.Next()) ? 0 : 1;
        }

        Assert.True(different > 1900);
    }

    [Fact]
    public void Packets_stay_within_what_a_kernel_takes_and_the_corpus_stays_whole()
    {
        var before = PacketCorpus.All.Select(p => Convert.ToHexString(p.Bytes)).ToArray();
        var mutator = new PacketMutator(PacketCorpus.All, 1);
        var untouched = 0;
        var known = before.ToHashSet();
        for (var i = 0; i < 100_000; i++)
        {
            var packet = mutator.Next();
            Assert.InRange(packet.Length, PacketMutator.MinLength, PacketMutator.MaxLength);
            untouched += known.Contains(Convert.ToHexString(packet)) ? 1 : 0;
        }

        Assert.InRange(untouched, 10_000, 60_000);
        Assert.Equal(before, PacketCorpus.All.Select(p => Convert.ToHexString(p.Bytes)));
        Assert.Equal(PacketCorpus.All.Count, PacketCorpus.All.Select(p => p.Name).Distinct().Count());
    }
}
