using Skep.Balancing;

namespace Skep.Benchmarks.Balancing;

/// <summary>How far shares are from their targets: the worst member, in percent of all connections and of its own target.</summary>
internal static class RingShares
{
    internal static void Measure(List<BenchmarkRow> rows)
    {
        var random = new Random(11);
        foreach (var (name, weights) in new (string, int[])[]
        {
            ("share, 1:99", [10, 990]),
            ("share, 10 random weights", [.. Enumerable.Range(0, 10).Select(_ => random.Next(1, 1001))]),
            ("share, 100 random weights", [.. Enumerable.Range(0, 100).Select(_ => random.Next(100, 1001))]),
            ("share, 100 equal, one half", [50, .. Enumerable.Repeat(100, 99)]),
            ("share, 1000 equal", [.. Enumerable.Repeat(100, 1000)]),
            ("share, 1000 random weights", [.. Enumerable.Range(0, 1000).Select(_ => random.Next(100, 1001))]),
        })
        {
            var members = RingMembers.Of(weights);
            var (ring, _) = RingMembers.Build(new RingBuilder(2000), members);
            var ours = Worst(ring, members);
            var maglev = Worst(RingMembers.Maglev(members), members);
            rows.Add(new(name, "largest error, of all connections", "%", ours.OfAll, maglev.OfAll, RingMembers.Baseline));
            rows.Add(new(name, "largest error, of the target", "%", ours.OfTarget, maglev.OfTarget, RingMembers.Baseline));
        }
    }

    private static (double OfAll, double OfTarget) Worst(ushort[] ring, RingMember[] members)
    {
        var counts = new int[members.Length + 1];
        foreach (var slot in ring)
        {
            counts[slot]++;
        }

        double total = members.Sum(m => m.Weight);
        var errors = members.Select(m => (Target: m.Weight / total, Error: Math.Abs((counts[m.Id] / (double)ring.Length) - (m.Weight / total)))).ToArray();
        return (100 * errors.Max(e => e.Error), 100 * errors.Max(e => e.Error / e.Target));
    }
}
