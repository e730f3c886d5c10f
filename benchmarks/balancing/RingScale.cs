using System.Diagnostics;
using System.Net;
using Skep.Balancing;
using Skep.Bpf.Maps;
using Skep.Edge;
using Skep.Engine;
using Skep.Packets;
using Skep.Resources;

namespace Skep.Benchmarks.Balancing;

/// <summary>
/// 10,000 virtual addresses with 100 backends each, in kernel maps: how long it takes to put all in force and to take over after a restart, and the CPU time of changing one. Changes of a
/// resource begin with a set of resources that is new throughout, as it is after files were read, and one of 10,000 differs.
/// </summary>
internal static class RingScale
{
    private const int Services = 10_000;
    private const int Backends = 100;

    internal static void Measure(List<BenchmarkRow> rows)
    {
        var options = new EdgeOptions { MaxServices = Services, MaxBackends = Services * Backends, RingRows = 16 << 20, MaxConnections = 1024, Measure = false };
        var maps = new EdgeMaps(options);
        foreach (var map in maps.Balancing.All)
        {
            map.Bind(KernelMapStorage.Create(map));
        }

        try
        {
            Measure(rows, maps.Balancing);
        }
        finally
        {
            foreach (var map in maps.Balancing.All)
            {
                map.Dispose();
            }
        }
    }

    private static void Measure(List<BenchmarkRow> rows, BalancerMaps maps)
    {
        var models = Enumerable.Range(0, Services).Select(i => Model(i, 100)).ToArray();
        var balancer = new Balancer(maps);
        Add("all", "s", Seconds(() => Check(balancer.Apply(models).IsEmpty)));
        Add("restart", "s", Seconds(() => Check((balancer = new Balancer(maps)).Apply(models).IsEmpty)));
        var random = new Random(1);
        var changes = Enumerable.Range(0, 200).Select(_ =>
        {
            var at = random.Next(Services);
            models[at] = Model(at, random.Next(50, 200));
            return Milliseconds(() => Check(balancer.Apply(models).IsEmpty));
        }).Order().ToArray();
        Add("one change, median", "ms", changes[100]);
        Add("one change, worst of 200", "ms", changes[^1]);
        var added = Enumerable.Range(0, 200).Select(i =>
        {
            var at = random.Next(Services);
            ServiceModel[] fewer = [.. models[..at], .. models[(at + 1)..]];
            var list = i % 2 == 0 ? fewer : models;
            return Milliseconds(() => Check(balancer.Apply(list).IsEmpty));
        }).Order().ToArray();
        Add("one more or less, median", "ms", added[100]);
        Add("one more or less, worst of 200", "ms", added[^1]);
        ChangeResources(balancer, random, Add);
        var updates = Enumerable.Range(0, 200).Select(_ => Milliseconds(() => Check(balancer.Update(Model(random.Next(Services), random.Next(50, 200))).IsEmpty))).Order().ToArray();
        Add("one weight, median", "ms", updates[100]);
        Add("slots of a ring", "count", balancer.Services[0].Slots);
        Add("memory of rings", "MB", maps.Ring.MaxEntries * 8 / 1e6);

        void Add(string metric, string unit, double value) => rows.Add(new($"{Services} services x {Backends}", metric, unit, value, null, null));
    }

    private static void ChangeResources(Balancer balancer, Random random, Action<string, string, double> add)
    {
        var weights = Enumerable.Repeat(100, Services).ToArray();
        var set = Resources(weights);
        Check(balancer.Apply(EdgePlan.For(set, [], []).Services).IsEmpty);
        var times = Enumerable.Range(0, 21).Select(_ =>
        {
            weights[random.Next(Services)] = random.Next(50, 200);
            var read = Resources(weights);
            GC.Collect();
            return Milliseconds(() =>
            {
                set = read.Keeping(set);
                Check(balancer.Apply(EdgePlan.For(set, [], []).Services).IsEmpty);
            });
        }).Skip(1).Order().ToArray();
        add("one change of a resource, median", "ms", times[10]);
        add("one change of a resource, worst of 20", "ms", times[^1]);
    }

    private static ResourceSet Resources(int[] firstWeights) => new()
    {
        LoadBalancers =
        [
            .. firstWeights.Select((weight, service) => new LoadBalancer
            {
                Name = $"scale{service}",
                Digest = (UInt128)(((ulong)service << 16) | (uint)weight),
                Source = new ResourceSource("scale.yaml", service, 1),
                Interfaces = ["eth0"],
                Addresses = [new IPAddress([198, 18, (byte)(service >> 8), (byte)service])],
                Ports = [new LoadBalancerPort(80, TransportProtocol.TCP, 8080)],
                Backends = [.. Enumerable.Range(0, Backends).Select(i => new Backend(new IPAddress([10, 1, 0, (byte)(i + 1)]), null, i == 0 ? weight : 100, default))],
            }),
        ],
    };

    private static ServiceModel Model(int service, int firstWeight) => new(
        "scale", IpAddress.FromBytes([198, 18, (byte)(service >> 8), (byte)service]), 80, IpProtocol.Tcp,
        [.. Enumerable.Range(0, Backends).Select(i => new BackendModel(IpAddress.FromBytes([10, 1, 0, (byte)(i + 1)]), 8080, i == 0 ? firstWeight : 100))]);

    private static double Seconds(Action work)
    {
        var start = Stopwatch.GetTimestamp();
        work();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    // Of CPU time: a busy machine makes any moment long.
    private static double Milliseconds(Action work)
    {
        var start = ThreadClock.Nanoseconds;
        work();
        return (ThreadClock.Nanoseconds - start) / 1e6;
    }

    private static void Check(bool holds)
    {
        if (!holds)
        {
            throw new InvalidOperationException("not all of it is in force");
        }
    }
}
