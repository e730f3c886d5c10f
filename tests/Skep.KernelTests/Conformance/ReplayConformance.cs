using System.Text.RegularExpressions;
using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin.Captures;
using Skep.Bpf.Twin.Replay;
using Skep.Fuzz;

namespace Skep.KernelTests.Conformance;

/// <summary>A capture file through both engines, as <c>skep replay</c> does it.</summary>
public partial class ReplayConformance
{
    [KernelFact]
    public void A_capture_gives_the_same_verdicts_and_the_same_output_file()
    {
        using var capture = new MemoryStream();
        using (var writer = CaptureWriter.Pcapng(new Unclosed(capture)))
        {
            foreach (var (packet, number) in PacketCorpus.All.Select((p, i) => (p, i)))
            {
                writer.Write(1_700_000_000_000_000_000 + ((ulong)number * 1_000_000), packet.Bytes);
            }

            // The kernel does not take what is larger than a page, nor an Ethernet header cut short.
            writer.Write(1_700_000_001_000_000_000, new byte[5000]);
            writer.Write(1_700_000_001_000_000_000, new byte[13]);
        }

        using var twin = new Skep.Bpf.Twin.TwinEngine();
        using var inTwin = EdgeScene.Create(EdgeScene.StrictBalancing, TimeProvider.System, twin.Bind);
        using var inKernel = EdgeScene.Create(EdgeScene.StrictBalancing, TimeProvider.System, m => m.Bind(KernelMapStorage.Create(m)));
        using var twinEngine = new TwinReplayEngine(inTwin.Program, twin);
        using var kernelEngine = new KernelReplayEngine(inKernel.Program, ProgramLoader.Load(ProgramCompiler.Compile(inKernel.Program)));
        var (expected, expectedFile) = Replay(twinEngine, capture.ToArray());
        var (actual, file) = Replay(kernelEngine, capture.ToArray());

        Assert.Equal(expected.Verdicts["pass"] - 1, actual.Verdicts["pass"]);
        Assert.Equal(expected.Verdicts["drop"], actual.Verdicts["drop"]);
        Assert.Equal((PacketCorpus.All.Count + 1, 1, 0), (expected.Packets, expected.Unframed, expected.Refused));
        Assert.Equal((PacketCorpus.All.Count, 1, 1), (actual.Packets, actual.Unframed, actual.Refused));

        // The twin's file ends with the large packet.
        Assert.Equal(expectedFile[..file.Length], file);
        Assert.Equal(16 + 5000, expectedFile.Length - file.Length);
        Assert.Equal(WithoutTimes(inTwin.Maps.Balancing.Connections), WithoutTimes(inKernel.Maps.Balancing.Connections));
        Assert.Equal(WithoutTimes(inTwin.Maps.Balancing.ConnectionSets), WithoutTimes(inKernel.Maps.Balancing.ConnectionSets));
        Assert.Equal(ProgramGraph.Maps(inKernel.Program).Order(ByName.Instance), kernelEngine.Maps.Order(ByName.Instance));
    }

    /// <summary>The entries as text; the clock of the twin is the capture's, that of the kernel its own.</summary>
    private static string WithoutTimes(BpfMap map) => Time().Replace(MapDump.ToJson(map).ToJsonString(), "");

    [GeneratedRegex("\"pendingSince\":[0-9]+,")]
    private static partial Regex Time();

    private static (ReplayResult Result, byte[] Output) Replay(IReplayEngine engine, byte[] capture)
    {
        using var output = new MemoryStream();
        using var reader = CaptureReader.Open(new MemoryStream(capture));
        ReplayResult result;
        using (var writer = CaptureWriter.Pcap(new Unclosed(output)))
        {
            result = new CaptureReplay(engine).Run(reader, new ReplayOptions { Output = writer });
        }

        return (result, output.ToArray());
    }

    private sealed class ByName : IComparer<BpfMap>
    {
        public static ByName Instance { get; } = new();

        public int Compare(BpfMap? x, BpfMap? y) => string.CompareOrdinal(x?.Name, y?.Name);
    }

    /// <summary>Passes writes on to a stream that stays open.</summary>
    private sealed class Unclosed(Stream inner) : MemoryStream
    {
        public override void Write(ReadOnlySpan<byte> buffer) => inner.Write(buffer);
    }
}
