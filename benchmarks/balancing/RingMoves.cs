using Skep.Balancing;

namespace Skep.Benchmarks.Balancing;

/// <summary>
/// Slots that a change of weights moves, over those that it must: the sum of what exact shares gain, before they are rounded to slots.
/// </summary>
internal static class RingMoves
{
    internal static void Measure(List<BenchmarkRow> rows)
    {
        foreach (var count in new[] { 10, 100, 1000 })
        {
            var equal = Enumerable.Repeat(100_000, count).ToArray();
            foreach (var percent in new[] { 90, 50, 0 })
            {
                Measure(rows, $"move, {count}, one to {percent} %", equal, [percent * 1000, .. equal[1..]]);
            }

            var random = new Random(5);
            int[] jittered = [.. equal.Select(w => (int)(w * (0.95 + (random.NextDouble() / 10))))];
            Measure(rows, $"move, {count}, all by up to 5 %", equal, jittered);
        }
    }

    private static void Measure(List<BenchmarkRow> rows, string name, int[] before, int[] after)
    {
        var (old, changed) = (RingMembers.Of(before), RingMembers.Of(after));
        var builder = new RingBuilder(2000);
        var (ring, held) = RingMembers.Build(builder, old);
        var was = ring.ToArray();
        var quotas = new int[held.Length];
        builder.Apply<ushort>(ring, changed, quotas);
        var moved = Different(was, ring);
        var maglev = Different(RingMembers.Maglev(old), RingMembers.Maglev(changed));
        double totalBefore = before.Sum(w => (long)w), totalAfter = after.Sum(w => (long)w);
        var least = before.Zip(after).Sum(p => Math.Max(0, (p.Second / totalAfter) - (p.First / totalBefore))) * RingMembers.Slots;
        rows.Add(new(name, "moved over the least", "times", moved / least, maglev / least, RingMembers.Baseline));
        rows.Add(new(name, "moved over the least in whole slots", "times", moved / (double)held.Zip(quotas).Sum(p => Math.Max(0, p.Second - p.First)), null, null));
    }

    private static int Different(ushort[] before, ushort[] after) => before.Zip(after).Count(p => p.First != p.Second);
}
