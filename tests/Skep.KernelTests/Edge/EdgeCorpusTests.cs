using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;
using Skep.Corpus;
using Skep.Edge;
using Skep.Engine;

namespace Skep.KernelTests.Edge;

/// <summary>The ordered corpus in the kernel: the verdict written beside each packet, the twin's bytes, and the same list of connections.</summary>
public class EdgeCorpusTests
{
    [KernelFact]
    public void Every_packet_gets_its_verdict_and_leaves_as_the_twin_lets_it()
    {
        // The table of connections compares and exchanges, which earlier levels cannot say; kernels have it from 5.12 on.
        for (var level = 3; level <= 4; level++)
        {
            Run(KernelTarget.Running with { IsaLevel = level });
        }
    }

    private static void Run(CompileTarget target)
    {
        var options = EdgeCorpus.Options;
        var maps = new EdgeMaps(options);
        using var loaded = ProgramLoader.Load(ProgramCompiler.Compile(new EdgeProgram(maps, options), target));
        foreach (var map in maps.All.Where(m => !m.IsBound))
        {
            // Not used by a program of these options.
            map.Bind(KernelMapStorage.Create(map));
        }

        var state = new EdgeState(maps, TimeProvider.System);
        EdgeCorpus.Prepare(state);

        // The block that is over at once is over for programs when the kernel's coarse clock has moved: every 10 ms at the least (HZ=100).
        var prepared = Environment.TickCount64;
        SpinWait.SpinUntil(() => Environment.TickCount64 > prepared + 10);

        using var twin = new TwinEngine();
        var twinMaps = new EdgeMaps(options);
        var twinProgram = new EdgeProgram(twinMaps, options);
        foreach (var map in twinMaps.All)
        {
            twin.Bind(map);
        }

        var twinState = new EdgeState(twinMaps, twin.Environment.TimeProvider);
        EdgeCorpus.Prepare(twinState);
        twin.Environment.Advance(TimeSpan.FromSeconds(1));
        try
        {
            foreach (var packet in EdgeCorpus.Packets)
            {
                var before = state.ReadCounters();
                // BPF_PROG_TEST_RUN refuses frames that are no longer than an Ethernet header.
                if (packet.Frame.Length <= 14)
                {
                    continue;
                }

                var result = loaded.TestRun(packet.Frame);
                var after = state.ReadCounters();
                var verdict = Assert.Single(after.Keys, v => after[v].Packets != before[v].Packets);
                Assert.Equal((packet.Name, packet.Expected), (packet.Name, verdict.ToString()));
                Assert.Equal(EdgeProgram.ActionOf(verdict, options), (Bpf.Programming.XdpAction)result.ReturnValue);
                var expected = twin.Run(twinProgram, packet.Frame).Packet.ToArray();
                Assert.True(expected.AsSpan().SequenceEqual(result.Output), $"{packet.Name}: the bytes differ");
            }

            Assert.Equal(
                twinState.Connections.List().Select(c => c.ToString()).Order(StringComparer.Ordinal),
                state.Connections.List().Select(c => c.ToString()).Order(StringComparer.Ordinal));
            Assert.Equal(state.Balancer.Services.Length, twinState.Balancer.Services.Length);
        }
        finally
        {
            foreach (var map in maps.All)
            {
                map.Dispose();
            }
        }
    }
}
