using Skep.Bpf;
using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;
using Skep.Bpf.Twin.Captures;
using Skep.Bpf.Twin.Replay;
using Skep.Edge;
using Skep.Fuzz;

namespace Skep.Benchmarks.Twin;

/// <summary>Packets per second of a replay of packets of every kind, from a file, in the twin and in the kernel.</summary>
internal static class CorpusBenchmark
{
    private const int Packets = 1_000_000;
    private const int Rounds = 5;

    public static IEnumerable<BenchmarkRow> Run()
    {
        var path = Path.Combine(Path.GetTempPath(), $"skep-bench-{Environment.ProcessId}.pcap");
        try
        {
            Write(path);
            yield return new("read a capture", "packets per second, best", "1/s", Best(() => Read(path)), null, null);
            foreach (var (name, options) in EdgeScene.Variants)
            {
                using var twin = new TwinEngine();
                using var scene = EdgeScene.Create(options, twin.Environment.TimeProvider, twin.Bind);
                using var engine = new TwinReplayEngine(scene.Program, twin);
                var ours = Best(() => Replay(path, engine));
                var kernel = Kernel(path, options);
                yield return new($"mixed packets, {name}", "packets per second, best", "1/s", ours, kernel, kernel is null ? null : "BPF_PROG_TEST_RUN");
            }
        }
        finally
        {
            File.Delete(path);
        }
    }

    /// <summary>The corpus again and again, from a thousand clients, a microsecond apart.</summary>
    private static void Write(string path)
    {
        using var writer = CaptureWriter.Create(path);
        var corpus = PacketCorpus.All.Select(p => p.Bytes.ToArray()).ToArray();
        for (var i = 0; i < Packets; i++)
        {
            var packet = corpus[i % corpus.Length];
            if (packet.Length > 38 && packet[12] == 8 && packet[13] == 0)
            {
                packet[29] = (byte)(i / corpus.Length);
                packet[35] = (byte)((i / corpus.Length / 256) & 3);
            }

            writer.Write(1_700_000_000_000_000_000 + ((ulong)i * 1000), packet);
        }
    }

    private static long Read(string path)
    {
        using var reader = CaptureReader.Open(path);
        var packets = 0L;
        while (reader.TryRead(out _))
        {
            packets++;
        }

        return packets;
    }

    private static long Replay(string path, IReplayEngine engine)
    {
        using var reader = CaptureReader.Open(path);
        return new CaptureReplay(engine).Run(reader).Packets;
    }

    private static double? Kernel(string path, EdgeOptions options)
    {
        try
        {
            using var scene = EdgeScene.Create(options, TimeProvider.System, m => m.Bind(KernelMapStorage.Create(m)));
            using var engine = new KernelReplayEngine(scene.Program, ProgramLoader.Load(ProgramCompiler.Compile(scene.Program)));
            return Best(() => Replay(path, engine));
        }
        catch (BpfException refused)
        {
            Console.Error.WriteLine($"no kernel figure: {refused.Message}");
            return null;
        }
    }

    /// <summary>The best of some rounds after one that warms up, in CPU time: other work on the machine does not count.</summary>
    private static double Best(Func<long> run)
    {
        run();
        var best = 0.0;
        for (var round = 0; round < Rounds; round++)
        {
            var start = ThreadClock.Nanoseconds;
            var packets = run();
            best = Math.Max(best, packets * 1e9 / (ThreadClock.Nanoseconds - start));
        }

        return Math.Round(best);
    }
}
