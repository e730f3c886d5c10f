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
        new("connections", "1/s", true, (network, way, seconds) => Wrk(network, way, seconds, "-c64", "-H", "Connection: close").Rate),
        new("requests kept alive", "1/s", true, (network, way, seconds) => Wrk(network, way, seconds, "-c64").Rate),
        new("bulk", "Gbit/s", true, Bulk),
        new("one connection, median latency", "us", false, (network, way, seconds) => Wrk(network, way, seconds, "-c1").Median),
    ];

    internal static void Run(List<BenchmarkRow> rows, int rounds, int seconds)
    {
        using var cpu = new NamespaceCpu();
        using var network = new NamespaceNetwork();
        using var ways = new NamespaceWays(network, cpu);
        AwaitServers(network, ways);
        var samples = s_measures.Select(_ => ways.All.Select(_ => new List<double>()).ToArray()).ToArray();
        var perCpu = s_measures.Select(_ => ways.All.Select(_ => new List<double>()).ToArray()).ToArray();
        for (var round = 0; round < rounds; round++)
        {
            for (var m = 0; m < s_measures.Length; m++)
            {
                // Another order each round: who comes first finds the caches of nobody.
                for (var i = 0; i < ways.All.Count; i++)
                {
                    var w = (i + round) % ways.All.Count;
                    var before = cpu.Seconds;
                    var rate = s_measures[m].Take(network, ways.All[w], seconds);
                    samples[m][w].Add(rate);
                    perCpu[m][w].Add(rate * seconds / (cpu.Seconds - before));
                }
            }
        }

        for (var m = 0; m < s_measures.Length; m++)
        {
            for (var w = 1; w < ways.All.Count; w++)
            {
                rows.Add(Compare(ways.All[w].Name, s_measures[m].Name, s_measures[m].Unit, samples[m][w], samples[m][0]));
                if (s_measures[m].MoreIsBetter)
                {
                    rows.Add(Compare(ways.All[w].Name, s_measures[m].Name + " per CPU second", s_measures[m].Unit.Replace("/s", "", StringComparison.Ordinal), perCpu[m][w], perCpu[m][0]));
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

    private static void AwaitServers(NamespaceNetwork network, NamespaceWays ways)
    {
        foreach (var way in ways.All)
        {
            for (var attempt = 0; ; attempt++)
            {
                network.RequireServers();
                try
                {
                    Wrk(network, way, 1, "-c8");
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
        var output = InClient(network, way, ["wrk", "-t1", $"-d{seconds}s", "--latency", .. options, $"http://{way.Address}:{way.HttpPort}/"]);
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
