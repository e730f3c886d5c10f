using System.Diagnostics;
using System.Globalization;
using System.Net;
using Skep.Balancing;
using Skep.Balancing.Adaptive;
using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using Skep.Edge;
using Skep.Engine;
using Skep.Packets;

namespace Skep.Benchmarks.Balancing;

/// <summary>
/// Latency with one slow and one disturbed of six servers, by real connections through namespaces: weights that stay, ours that follow, and the least connections of HAProxy
/// and nginx, in turns. Servers are slow by themselves, as those of <see cref="AdaptiveQueues"/>: four workers and one queue each.
/// </summary>
internal static class AdaptiveTraffic
{
    private const int Servers = 6, Workers = 4, Proxies = 0, Ours = 1;
    private const int SlowTimes = 4, DisturbedTimes = 3, DisturbedSeconds = 3;
    private const ushort StaticPort = 8001, AdaptivePort = 8002, HaproxyPort = 8003, NginxPort = 8004;
    private static readonly TimeSpan s_mean = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan s_warm = TimeSpan.FromSeconds(8), s_measured = TimeSpan.FromSeconds(15);

    // What the servers can do in a second, all together.
    private static double Capacity => Workers / s_mean.TotalSeconds * (Servers - 2 + (1.0 / SlowTimes) + (2.0 / (1 + DisturbedTimes)));

    internal static void Run(List<BenchmarkRow> rows, int rounds, double load)
    {
        using var cpu = new NamespaceCpu();
        using var network = new NamespaceNetwork(Servers, middles: 2);
        DelayedServer[] servers =
        [
            .. from port in new[] { StaticPort, AdaptivePort, HaproxyPort, NginxPort }
               from s in Enumerable.Range(0, Servers)
               select Serve(network, s, port),
        ];
        var folder = Directory.CreateTempSubdirectory("skep-bench-").FullName;
        using var balancer = new AdaptiveBalancer(network.Middle(Ours), Service(StaticPort, null), Service(AdaptivePort, new AdaptivePolicy()));
        try
        {
            StartProxies(network, cpu, folder);
            (string Name, IPEndPoint Target)[] ways =
            [
                ("weights that stay", new(IPAddress.Parse(NamespaceNetwork.Virtual(Ours)), StaticPort)),
                ("haproxy leastconn", new(IPAddress.Parse("10.90.0.1"), HaproxyPort)),
                ("nginx least_conn", new(IPAddress.Parse("10.90.0.1"), NginxPort)),
                ("skep, adaptive", new(IPAddress.Parse(NamespaceNetwork.Virtual(Ours)), AdaptivePort)),
            ];
            var samples = ways.Select(_ => new List<(double Mean, double Tail)>()).ToArray();
            for (var round = 0; round < rounds; round++)
            {
                for (var w = 0; w < ways.Length; w++)
                {
                    var at = (w + round) % ways.Length;
                    var run = new OpenLoad(network.Client, ways[at].Target, load * Capacity, round);
                    var times = run.Run(s_warm, s_measured);
                    network.RequireServers();
                    if (run.Failed > 0)
                    {
                        throw new InvalidOperationException($"{ways[at].Name}: {run.Failed} requests failed");
                    }

                    samples[at].Add((1000 * times.Average(), 1000 * times[(int)(0.99 * times.Length)]));
                    Console.WriteLine(string.Create(
                        CultureInfo.InvariantCulture, $"round {round + 1}, {ways[at].Name}: {times.Length} requests, mean {samples[at][^1].Mean:0.0} ms, p99 {samples[at][^1].Tail:0.0} ms"));
                }
            }

            for (var w = 0; w < ways.Length - 1; w++)
            {
                Add("mean latency", s => s.Mean);
                Add("99th percentile", s => s.Tail);

                void Add(string metric, Func<(double Mean, double Tail), double> take) => rows.Add(new(
                    string.Create(CultureInfo.InvariantCulture, $"slow and disturbed, real traffic, load {load}"), metric, "ms",
                    Median(samples[^1].Select(take)), Median(samples[w].Select(take)), ways[w].Name));
            }
        }
        finally
        {
            Array.ForEach(servers, s => s.Dispose());
            network.StopServing();
            Directory.Delete(folder, recursive: true);
        }
    }

    private static double Median(IEnumerable<double> values) => values.Order().ElementAt(values.Count() / 2);

    private static DelayedServer Serve(NamespaceNetwork network, int s, int port)
    {
        var started = Stopwatch.GetTimestamp();
        return new DelayedServer(network.Server(s), port, Workers, s_mean, seed: (port * Servers) + s)
        {
            Slowdown = s switch
            {
                0 => () => SlowTimes,
                1 => () => (int)(Stopwatch.GetElapsedTime(started).TotalSeconds / DisturbedSeconds) % 2 == 0 ? DisturbedTimes : 1,
                _ => () => 1,
            },
        };
    }

    private static ServiceModel Service(ushort port, AdaptivePolicy? adaptive) => new(
        "adaptive", IpAddress.Parse(NamespaceNetwork.Virtual(Ours)), port, IpProtocol.Tcp,
        [.. Enumerable.Range(0, Servers).Select(s => new BackendModel(IpAddress.Parse(NamespaceNetwork.Address(Ours, s)), port))])
    {
        Policy = new ServicePolicy { Adaptive = adaptive },
    };

    private static void StartProxies(NamespaceNetwork network, NamespaceCpu cpu, string folder)
    {
        string Servers(string prefix, string suffix, ushort port) =>
            string.Concat(Enumerable.Range(0, AdaptiveTraffic.Servers).Select(s => string.Format(CultureInfo.InvariantCulture, prefix, s) + $"{NamespaceNetwork.Address(Proxies, s)}:{port}{suffix}"));
        var haproxy = Path.Combine(folder, "haproxy.cfg");
        File.WriteAllText(haproxy, $"""
            global
              nbthread 2
              maxconn 8000
            defaults
              mode tcp
              timeout connect 10s
              timeout client 60s
              timeout server 60s
            listen adaptive
              bind 10.90.0.1:{HaproxyPort}
              balance leastconn
            {Servers("  server s{0} ", "\n", HaproxyPort)}
            """);
        network.Serve(cpu.Servers, network.Middle(Proxies), "haproxy", "-db", "-f", haproxy);
        var nginx = Path.Combine(folder, "nginx.conf");
        File.WriteAllText(nginx, $$"""
            {{NamespaceWays.LoadStream}}
            daemon off; worker_processes 1; pid {{folder}}/nginx.pid; error_log stderr crit;
            events { worker_connections 8192; }
            stream {
              upstream adaptive { least_conn; {{Servers("server ", "; ", NginxPort)}} }
              server { listen 10.90.0.1:{{NginxPort}}; proxy_pass adaptive; }
            }
            """);
        network.Serve(cpu.Servers, network.Middle(Proxies), "nginx", "-p", folder, "-c", nginx);
    }
}
