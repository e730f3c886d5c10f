using Skep.Bpf.Twin;
using Skep.Corpus;
using Skep.Edge;
using Skep.Filtering;
using Skep.Fuzz;

namespace Skep.KernelTests.Conformance;

/// <summary>The edge program over the same packets in the kernel and in the twin: the same verdicts, bytes and map contents.</summary>
public class EdgeConformance
{
    public static TheoryData<string> Variants => [.. EdgeScene.Variants.Keys];

    [KernelTheory]
    [MemberData(nameof(Variants))]
    public void Every_packet_of_the_corpus_comes_out_the_same(string variant)
    {
        using var engines = Pair(EdgeScene.Variants[variant]);
        Agreement.OnCorpus(engines);
    }

    [KernelTheory]
    [MemberData(nameof(Variants))]
    public void Mutated_packets_come_out_the_same(string variant)
    {
        using var engines = Pair(EdgeScene.Variants[variant]);
        Agreement.OnMutations(engines);
    }

    [KernelTheory]
    [MemberData(nameof(Variants))]
    public void At_traffic_control_every_packet_of_the_corpus_comes_out_the_same(string variant)
    {
        using var engines = TcPair(EdgeScene.Variants[variant]);
        Agreement.OnCorpus(engines);
    }

    [KernelTheory]
    [MemberData(nameof(Variants))]
    public void At_traffic_control_mutated_packets_come_out_the_same(string variant)
    {
        using var engines = TcPair(EdgeScene.Variants[variant]);
        Agreement.OnMutations(engines);
    }

    [KernelFact]
    public void A_source_over_its_rate_is_cut_off_at_the_same_packet()
    {
        // A token a second: no time passes between the packets that matters.
        using var engines = Pair(EdgeScene.Everything with { RateLimit = new SourceRate(1, 60), Balance = false });
        var packet = PacketCorpus.All.First(p => p.Name == "tcp syn");
        for (var i = 0; i < 70; i++)
        {
            Assert.Null(engines.Run(packet.Bytes));
        }

        Assert.Empty(engines.CompareMaps());
    }

    [KernelTheory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public void A_service_over_its_limit_is_cut_off_at_the_same_packet(bool fineClock, bool atTrafficControl)
    {
        // A token a second: no time passes between the packets that matters.
        var options = EdgeScene.Everything with { RateLimit = null, Limits = new Skep.Balancing.ServiceLimits(true, true, fineClock) };
        using var engines = new EnginePair(bind =>
        {
            var scene = EdgeScene.Create(options, TimeProvider.System, bind);
            foreach (ref var limit in scene.Maps.Balancing.Limits.Entries)
            {
                limit.Packets = new() { Interval = 1_000_000_000, Tolerance = 59_000_000_000 };
                limit.Connections = new() { Interval = 1_000_000_000, Tolerance = 29_000_000_000 };
            }

            // When a bucket is full is a time of each engine's own clock.
            return ([atTrafficControl ? scene.TcProgram : scene.Program], [.. scene.Maps.All.Where(m => m != scene.Maps.Balancing.Limits)]);
        });
        var syn = PacketCorpus.All.First(p => p.Name == "tcp syn");
        for (var i = 0; i < 100; i++)
        {
            var frame = syn.Bytes.ToArray();
            frame[35] = (byte)(i / 2);
            Assert.Null(engines.Run(frame));
        }

        Assert.Empty(engines.CompareMaps());
    }

    [KernelTheory]
    [InlineData(false)]
    [InlineData(true)]
    public void While_programs_are_exchanged_every_packet_of_the_corpus_comes_out_the_same(bool atTrafficControl)
    {
        Skep.Bpf.Maps.PerCpuArrayMap<EdgeCounter>? counters = null;
        using var engines = new EnginePair(bind =>
        {
            var scene = EdgeScene.Create(EdgeScene.Everything with { RateLimit = null }, TimeProvider.System, bind);
            scene.Maps.Balancing.Exchange.Value = ulong.MaxValue;
            counters = scene.Maps.Counters;
            return ([atTrafficControl ? scene.TcProgram : scene.Program], scene.Maps.All);
        });
        Agreement.OnCorpus(engines);
        Assert.True(counters!.TryGet((uint)EdgeVerdict.Held, out var held) && held.Any(c => c.Packets > 0));
        Assert.True(counters.TryGet((uint)EdgeVerdict.Forwarded, out var forwarded) && forwarded.Any(c => c.Packets > 0));
    }

    [Fact]
    public void The_corpus_reaches_every_verdict_that_needs_no_full_table()
    {
        var reached = DirectTable.All.Values.SelectMany(t => t.Cases).Select(c => c.Verdict).ToHashSet();
        foreach (var options in EdgeScene.Variants.Values.Append(EdgeScene.Everything with { RateLimit = new SourceRate(1, 1), Balance = false }))
        {
            using var twin = new TwinEngine();
            using var scene = EdgeScene.Create(options, twin.Environment.TimeProvider, twin.Bind);
            foreach (var packet in PacketCorpus.All.Concat(PacketCorpus.All))
            {
                twin.Run(scene.Program, packet.Bytes);
            }

            reached.UnionWith(Enum.GetValues<EdgeVerdict>().Where(v =>
                scene.Maps.Counters.TryGet((uint)v, out var perCpu) && perCpu.Any(c => c.Packets > 0)));
        }

        Assert.Equal(
            Enum.GetValues<EdgeVerdict>().Except([EdgeVerdict.TableFull, EdgeVerdict.Decapsulated, EdgeVerdict.TunnelRefused, EdgeVerdict.SentOn, EdgeVerdict.ServiceLimited, EdgeVerdict.Held]), reached.Order());
    }

    private static EnginePair Pair(EdgeOptions options) => new(bind =>
    {
        var scene = EdgeScene.Create(options, TimeProvider.System, bind);
        return ([scene.Program], scene.Maps.All);
    });

    private static EnginePair TcPair(EdgeOptions options) => new(bind =>
    {
        var scene = EdgeScene.Create(options, TimeProvider.System, bind);
        return ([scene.TcProgram], scene.Maps.All);
    });
}
