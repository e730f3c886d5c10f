using Skep.Balancing.Adaptive;
using Skep.Tests.Balancing.Adaptive;

namespace Skep.Benchmarks.Balancing;

/// <summary>
/// Latency with one slow and one disturbed of ten backends, in the simulation that the tests use: servers with four workers and one queue each, Poisson arrivals,
/// a minute of virtual time, the first ten seconds left out. By weights that stay, by least connections, and by what we do.
/// </summary>
internal static class AdaptiveQueues
{
    private const double Warm = 10;

    internal static void Measure(List<BenchmarkRow> rows)
    {
        SimulatedServer[] servers =
        [
            new(4, 0.010) { Slowdown = _ => 4 },
            new(4, 0.010) { Slowdown = t => (int)(t / 3) % 2 == 0 ? 3 : 1 },
            .. Enumerable.Range(0, 8).Select(_ => new SimulatedServer(4, 0.010)),
        ];
        SimulatedServer[] equal = [.. Enumerable.Range(0, 5).Select(_ => new SimulatedServer(4, 0.010))];
        foreach (var load in new[] { 0.2, 0.3, 0.5, 0.7 })
        {
            Compare(rows, $"slow and disturbed, load {load}", servers, load * (8 * 400 + 100 + 266));
        }

        foreach (var load in new[] { 0.5, 0.8, 0.9, 0.95 })
        {
            Compare(rows, $"five equal, load {load}", equal, load * 2000);
        }
    }

    private static void Compare(List<BenchmarkRow> rows, string name, SimulatedServer[] servers, double perSecond)
    {
        QueueSimulation Run(Method method) => new QueueSimulation(servers, perSecond, method, new ServicePolicy { Adaptive = new(), Outliers = new() }).Run(60);
        var ours = Run(Method.AdaptiveTwoChoices);
        foreach (var (baseline, run) in new[] { ("weights that stay", Run(Method.Static)), ("least connections", Run(Method.LeastConnections)), ("weights without two choices", Run(Method.Adaptive)) })
        {
            rows.Add(new(name, "mean latency", "ms", 1000 * ours.Mean(Warm), 1000 * run.Mean(Warm), baseline));
            rows.Add(new(name, "99th percentile", "ms", 1000 * ours.Quantile(0.99, Warm), 1000 * run.Quantile(0.99, Warm), baseline));
        }
    }
}
