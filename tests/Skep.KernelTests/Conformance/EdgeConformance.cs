using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;
using Skep.Bpf.Twin.Replay;
using Skep.Edge;
using Skep.Filtering;
using Skep.Fuzz;

namespace Skep.KernelTests.Conformance;

/// <summary>The edge program over the same packets in the kernel and in the twin: the same verdicts, bytes and map contents.</summary>
public class EdgeConformance
{
    private const int MutatedPackets = 5000;

    public static TheoryData<string> Variants => [.. EdgeScene.Variants.Keys];

    [KernelTheory]
    [MemberData(nameof(Variants))]
    public void Every_packet_of_the_corpus_comes_out_the_same(string variant)
    {
        using var engines = new EnginePair(EdgeScene.Variants[variant]);

        // Twice: the second time the state of the first is there.
        foreach (var packet in PacketCorpus.All.Concat(PacketCorpus.All))
        {
            engines.Run(packet.Name, packet.Bytes);
        }

        engines.CompareMaps();
    }

    [KernelTheory]
    [MemberData(nameof(Variants))]
    public void Mutated_packets_come_out_the_same(string variant)
    {
        using var engines = new EnginePair(EdgeScene.Variants[variant]);
        var mutator = new PacketMutator(PacketCorpus.All, seed: 2026);
        for (var i = 0; i < MutatedPackets; i++)
        {
            engines.Run($"mutated packet {i}", mutator.Next());
        }

        engines.CompareMaps();
    }

    [KernelFact]
    public void A_source_over_its_rate_is_cut_off_at_the_same_packet()
    {
        // A token a minute: no time passes between the packets that matters.
        using var engines = new EnginePair(EdgeScene.Everything with { RateLimit = new SourceRate(1, 60), Balance = false });
        var packet = PacketCorpus.All.First(p => p.Name == "tcp syn");
        for (var i = 0; i < 70; i++)
        {
            engines.Run($"packet {i} of one source", packet.Bytes);
        }

        Assert.Equal(60, engines.CountOf(EdgeVerdict.Passed));
        Assert.Equal(10, engines.CountOf(EdgeVerdict.RateLimited));
        engines.CompareMaps();
    }

    [Fact]
    public void The_corpus_reaches_every_verdict_that_needs_no_full_table()
    {
        var reached = new HashSet<EdgeVerdict>();
        foreach (var options in EdgeScene.Variants.Values.Append(EdgeScene.Everything with { RateLimit = new SourceRate(1, 1), Balance = false }))
        {
            using var twin = new TwinEngine();
            using var scene = EdgeScene.Create(options, twin.Environment.TimeProvider, twin.Bind);
            foreach (var packet in PacketCorpus.All.Concat(PacketCorpus.All))
            {
                twin.Run(scene.Program, packet.Bytes);
            }

            reached.UnionWith(Enum.GetValues<EdgeVerdict>().Where(v => EnginePair.Count(scene, v) > 0));
        }

        EdgeVerdict[] needFullTables = [EdgeVerdict.TableFull, EdgeVerdict.PortCollision];
        Assert.Equal(Enum.GetValues<EdgeVerdict>().Except(needFullTables), reached.Except(needFullTables).Order());
    }

    /// <summary>The same scene in both engines.</summary>
    private sealed class EnginePair : IDisposable
    {
        private readonly TwinEngine _twin = new();
        private readonly EdgeScene _inTwin;
        private readonly EdgeScene _inKernel;
        private readonly LoadedProgram _loaded;
        private readonly byte[] _output = new byte[8192];

        public EnginePair(EdgeOptions options)
        {
            _inTwin = EdgeScene.Create(options, TimeProvider.System, _twin.Bind);
            _inKernel = EdgeScene.Create(options, TimeProvider.System, m => m.Bind(KernelMapStorage.Create(m)));
            _loaded = ProgramLoader.Load(ProgramCompiler.Compile(_inKernel.Program));
        }

        public static ulong Count(EdgeScene scene, EdgeVerdict verdict) =>
            scene.Maps.Counters.TryGet((uint)verdict, out var perCpu) ? perCpu.Aggregate(0ul, (sum, c) => sum + c.Packets) : 0;

        public int CountOf(EdgeVerdict verdict) => (int)Count(_inKernel, verdict);

        public void Run(string name, ReadOnlySpan<byte> packet)
        {
            var expected = _twin.Run(_inTwin.Program, packet);
            var actual = _loaded.TestRun(packet, _output);
            Assert.True(
                (int)expected.Action == actual.ReturnValue,
                $"{name}: {Verdicts.NameOf(_inTwin.Program, (int)expected.Action)} in the twin, {Verdicts.NameOf(_inTwin.Program, actual.ReturnValue)} in the kernel: {Convert.ToHexStringLower(packet)}");
            Assert.True(
                expected.Packet.SequenceEqual(_output.AsSpan(0, actual.OutputLength)),
                $"{name}: the bytes differ: {Convert.ToHexStringLower(expected.Packet)} in the twin, {Convert.ToHexStringLower(_output.AsSpan(0, actual.OutputLength))} in the kernel");
        }

        public void CompareMaps() => Assert.Empty(MapComparison.Differences(_inTwin.Maps.All, _inKernel.Maps.All));

        public void Dispose()
        {
            _loaded.Dispose();
            _inKernel.Dispose();
            _inTwin.Dispose();
            _twin.Dispose();
        }
    }
}
