using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Skep.Benchmarks.Balancing;

/// <summary>
/// Real traffic from a client to three servers, each way in turn in every round: what is compared is the median of the ratios within a round, because a
/// machine's speed drifts. Rows give that ratio, and for baseline the median of the direct way; by the time on the wall, and by the CPU time of all that take part.
/// </summary>
internal static partial class Namespaces
{
    private sealed record Measure(string Name, string Unit, bool MoreIsBetter, Func<NamespaceNetwork, NamespaceWay, int, double> Take);

    private static readonly Measure[] s_measures =
    [
        new("connections", "1/s", true, (network, way, seconds) => Wrk(network, way, seconds, "-t3", "-c63", "-H", "Connection: close").Rate),
        new("requests kept alive", "1/s", true, (network, way, seconds) => Wrk(network, way, seconds, "-t3", "-c63").Rate),
        new("bulk", "Gbit/s", true, Bulk),
        new("one connection, median latency", "us", false, (network, way, seconds) => Wrk(network, way, seconds, "-t1", "-c1").Median),
    ];

    /// <summary>Measures.</summary>
    /// <param name="rows">Takes what was found.</param>
    /// <param name="rounds">How often.</param>
    /// <param name="seconds">Length of one measurement.</param>
    /// <param name="metric">Part of the name of what is measured; null for all.</param>
    /// <param name="way">Part of the name of the ways compared with the direct one; null for all.</param>
    internal static void Run(List<BenchmarkRow> rows, int rounds, int seconds, string? metric = null, string? way = null)
    {
        var measures = s_measures.Where(m => m.Name.Contains(metric ?? "", StringComparison.Ordinal)).ToArray();
        using var cpu = new NamespaceCpu();
        using var network = new NamespaceNetwork();
        using var ways = new NamespaceWays(network, cpu);
        NamespaceWay[] all = [.. ways.All.Where(w => w.Name == Direct || w.Name.Contains(way ?? "", StringComparison.Ordinal))];
        AwaitServers(network, all);
        var samples = measures.Select(_ => all.Select(_ => new List<double>()).ToArray()).ToArray();
        var perCpu = measures.Select(_ => all.Select(_ => new List<double>()).ToArray()).ToArray();
        for (var round = 0; round < rounds; round++)
        {
            for (var m = 0; m < measures.Length; m++)
            {
                // Another order each round: who comes first finds the caches of nobody.
                for (var i = 0; i < all.Length; i++)
                {
                    var w = (i + round) % all.Length;
                    var before = cpu.Seconds;
                    var rate = measures[m].Take(network, all[w], seconds);
                    samples[m][w].Add(rate);
                    perCpu[m][w].Add(rate * seconds / (cpu.Seconds - before));
                }
            }
        }

        for (var m = 0; m < measures.Length; m++)
        {
            for (var w = 1; w < all.Length; w++)
            {
                rows.Add(Compare(all[w].Name, measures[m].Name, measures[m].Unit, samples[m][w], samples[m][0]));
                if (measures[m].MoreIsBetter)
                {
                    rows.Add(Compare(all[w].Name, measures[m].Name + " per CPU second", measures[m].Unit.Replace("/s", "", StringComparison.Ordinal), perCpu[m][w], perCpu[m][0]));
                }
            }
        }
    }

    /// <summary>The way that all others are compared with: no balancer between.</summary>
    internal const string Direct = "direct";

    private static BenchmarkRow Compare(string name, string metric, string unit, List<double> ours, List<double> direct)
    {
        var ratios = ours.Zip(direct, (o, d) => o / d).Order().ToArray();
        return new(name, metric, unit, Median(direct) * ratios[ratios.Length / 2], Median(direct), Direct, [Math.Round(ratios[0], 3), Math.Round(ratios[^1], 3)]);
    }

    private static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return sorted[sorted.Length / 2];
    }

    private static void AwaitServers(NamespaceNetwork network, NamespaceWay[] ways)
    {
        foreach (var way in ways)
        {
            for (var attempt = 0; ; attempt++)
            {
                network.RequireServers();
                try
                {
                    Wrk(network, way, 1, "-t3", "-c9");
                    break;
                }
                catch (InvalidOperationException) when (attempt < 100)
                {
                    // Not listening yet.
                    Task.Delay(200).GetAwaiter().GetResult();
                }
            }
        }
    }

    private static (double Rate, double Median) Wrk(NamespaceNetwork network, NamespaceWay way, int seconds, params string[] options)
    {
        var output = InClient(network, way, ["wrk", $"-d{seconds}s", "--latency", "-s", way.Script, .. options, $"http://{way.Address}:{way.HttpPort}/"]);
        var rate = RatePattern().Match(output);
        var median = MedianPattern().Match(output);
        if (!rate.Success || double.Parse(rate.Groups[1].Value, CultureInfo.InvariantCulture) == 0)
        {
            throw new InvalidOperationException($"{way.Name}: {output}");
        }

        var scale = median.Groups[2].Value switch { "us" => 1, "ms" => 1000, _ => 1_000_000 };
        return (double.Parse(rate.Groups[1].Value, CultureInfo.InvariantCulture), double.Parse(median.Groups[1].Value, CultureInfo.InvariantCulture) * scale);
    }

    private static double Bulk(NamespaceNetwork network, NamespaceWay way, int seconds)
    {
        var output = InClient(network, way, ["iperf3", "-c", way.Address, "-p", $"{way.BulkPort}", "-t", $"{seconds}", "-J"]);
        using var json = JsonDocument.Parse(output);
        return json.RootElement.GetProperty("end").GetProperty("sum_received").GetProperty("bits_per_second").GetDouble() / 1e9;
    }

    private static string InClient(NamespaceNetwork network, NamespaceWay way, string[] command) =>
        NamespaceTool.Run("sh", NamespaceTool.InGroup(way.Cgroup, network.Client, command));

    [GeneratedRegex(@"Requests/sec:\s+([0-9.]+)")]
    private static partial Regex RatePattern();

    [GeneratedRegex(@"50%\s+([0-9.]+)(us|ms|s)")]
    private static partial Regex MedianPattern();
}
