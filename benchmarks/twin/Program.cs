using Skep.Balancing;
using Skep.Benchmarks;
using Skep.Benchmarks.Twin;
using Skep.Bpf.Twin;
using Skep.Bpf.Twin.Captures;
using Skep.Bpf.Twin.Replay;
using Skep.Edge;
using Skep.Packets;

// Packets per second of the edge program under the twin, over a capture file, on one core; then its maps against what .NET has.
const int Packets = 1_000_000;
const int Flows = 5_000;
const int Rounds = 5;

var path = Path.Combine(Path.GetTempPath(), $"skep-bench-{Environment.ProcessId}.pcap");
try
{
    WriteCapture(path);
    ThreadClock.Pin();
    var rates = new List<double>();
    for (var round = 0; round <= Rounds; round++)
    {
        var options = new EdgeOptions();
        var maps = new EdgeMaps(options);
        using var twin = new TwinEngine();
        using var engine = new TwinReplayEngine(new EdgeProgram(maps, options), twin);
        Balance(new EdgeState(maps, TimeProvider.System));
        using var capture = CaptureReader.Open(path);
        var started = ThreadClock.Nanoseconds;
        var result = new CaptureReplay(engine).Run(capture);
        var seconds = (ThreadClock.Nanoseconds - started) / 1e9;
        if (result.Packets != Packets)
        {
            throw new InvalidOperationException($"{result.Packets} packets replayed of {Packets}");
        }

        if (round > 0)
        {
            rates.Add(Packets / seconds); // The first round is the JIT's.
        }
    }

    rates.Sort();
    BenchmarkRow.Publish(
    [
        new("replay of the edge program, 5000 flows", "packets per second, median", "1/s", rates[rates.Count / 2], 1_000_000, "target"),
        new("replay of the edge program, 5000 flows", "packets per second, best", "1/s", rates[^1], 1_000_000, "target"),
        .. CorpusBenchmark.Run(),
        .. MapBenchmark.Run(),
    ], args);
    return 0;
}
finally
{
    File.Delete(path);
}

static void Balance(EdgeState state)
{
    var problems = state.Balancer.Apply(
    [
        new ServiceModel(
            "bench", IpAddress.Parse("198.18.100.1"), 80, IpProtocol.Tcp,
            [.. Enumerable.Range(1, 10).Select(i => new BackendModel(IpAddress.Parse($"198.18.11.{i}"), 8080))]),
    ]);
    if (!problems.IsEmpty)
    {
        throw new InvalidOperationException(string.Join("; ", problems));
    }
}

// Half of the packets for the service, half not; a few blocked ones would only be faster.
static void WriteCapture(string path)
{
    var frames = Enumerable.Range(0, Flows).Select(i => PacketBuilder.Ethernet()
        .IPv4($"198.18.{1 + (i >> 8)}.{i & 255}", i % 2 == 0 ? "198.18.100.1" : "198.18.11.1")
        .Tcp((ushort)(10_000 + i), 80, TcpFlags.Ack).Payload(64).Build()).ToArray();
    using var writer = CaptureWriter.Create(path);
    for (var i = 0; i < Packets; i++)
    {
        writer.Write((ulong)i * 1000, frames[i % Flows]);
    }
}
