using Skep.Balancing;

namespace Skep.Benchmarks.Balancing;

/// <summary>CPU time of a change of a ring of 65,537 slots, and of the first build.</summary>
internal static class RingTimes
{
    private const int Rounds = 200;

    internal static void Measure(List<BenchmarkRow> rows)
    {
        foreach (var count in new[] { 10, 100, 1000 })
        {
            var members = RingMembers.Of(Enumerable.Repeat(100_000, count));
            var builder = new RingBuilder(2000);
            var (ring, quotas) = RingMembers.Build(builder, members);
            var random = new Random(3);
            var one = members.ToArray();
            rows.Add(Row("one weight", count, Time(
                () => one[random.Next(count)] = one[random.Next(count)] with { Weight = random.Next(50_000, 150_000) }, () => builder.Apply<ushort>(ring, one, quotas)),
                Time(() => { }, () => RingMembers.Maglev(one))));
            var all = members.ToArray();
            rows.Add(Row("all weights", count, Time(
                () => Array.ForEach(all, m => all[m.Id - 1] = m with { Weight = random.Next(90_000, 110_000) }), () => builder.Apply<ushort>(ring, all, quotas)),
                Time(() => { }, () => RingMembers.Maglev(all))));
            rows.Add(Row("first build", count, Time(() => Array.Clear(ring), () => builder.Apply<ushort>(ring, members, quotas)), null));
        }
    }

    private static BenchmarkRow Row(string name, int count, double ours, double? baseline) =>
        new($"rebuild, {count}, {name}", "time, median", "ms", ours, baseline, RingMembers.Baseline);

    private static double Time(Action prepare, Action work)
    {
        var samples = new double[Rounds];
        for (var round = -Rounds / 4; round < Rounds; round++)
        {
            prepare();
            var start = ThreadClock.Nanoseconds;
            work();
            samples[Math.Max(0, round)] = (ThreadClock.Nanoseconds - start) / 1e6;
        }

        Array.Sort(samples);
        return samples[Rounds / 2];
    }
}
