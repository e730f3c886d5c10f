using Skep.Benchmarks;
using Skep.Benchmarks.Edge;
using Skep.Filtering;
using Skep.Packets;

// ns per packet of the edge program's paths, ours against clang -O2 of the same algorithm, over the same maps, run in turns in one process.
const string Baseline = "clang -O2 -mcpu=v3";
const int Places = 5;
const int Rounds = 5;
const int Repeat = 20_000;

ThreadClock.Pin();
var rows = new List<BenchmarkRow>();
using (var setting = new Setting(rate: null))
using (var counting = new Counting(rate: null))
{
    rows.Add(new("edge program", "instructions", "count", setting.Ours.Instructions, setting.Clang.Instructions, Baseline));
    rows.Add(new("edge program", "instructions the verifier walks", "count", setting.Ours.VerifiedInstructions, setting.Clang.VerifiedInstructions, Baseline));
    rows.Add(new("edge program", "machine code", "bytes", setting.Ours.JitedBytes, setting.Clang.JitedBytes, Baseline));
    var v4 = PacketBuilder.Ethernet().IPv4(Setting.Client4, Setting.VirtualV4);
    var v6 = PacketBuilder.Ethernet().IPv6(Setting.Client6, Setting.VirtualV6);
    Measure(setting, counting, "pass, to nobody here", PacketBuilder.Ethernet().IPv4(Setting.Client4, "198.18.12.1").Tcp(40000, 443, TcpFlags.Ack));
    Measure(setting, counting, "pass, to a backend itself", PacketBuilder.Ethernet().IPv4(Setting.Client4, "198.18.11.1").Tcp(40000, 443, TcpFlags.Ack));
    Measure(setting, counting, "block, exact address", PacketBuilder.Ethernet().IPv4(Setting.Blocked, Setting.VirtualV4).Tcp(40000, 80, TcpFlags.Syn));
    Measure(setting, counting, "block, prefix", PacketBuilder.Ethernet().IPv4(Setting.BlockedNet, Setting.VirtualV4).Tcp(40000, 80, TcpFlags.Syn));
    Measure(setting, counting, "balance, IPv4 TCP", v4.Tcp(40000, 80, TcpFlags.Ack));
    Measure(setting, counting, "balance, IPv4 UDP", v4.Udp(40000, 80));
    Measure(setting, counting, "balance, IPv6 TCP", v6.Tcp(40000, 80, TcpFlags.Ack));
    Measure(setting, counting, "balance, IPv6 UDP", v6.Udp(40000, 80));
    var request = Padded(v4.Tcp(40000, 80, TcpFlags.Ack));
    setting.Use(request, vary: false);
    var (_, forwarded) = setting.Ours.RunOnce(request);
    var backend = string.Join('.', forwarded[30..34]);
    Measure(setting, counting, "reply, IPv4 TCP", PacketBuilder.Ethernet().IPv4(backend, Setting.Client4).Tcp(8080, 40000, TcpFlags.Ack));
    Measure(setting, counting, "new connection, IPv4 TCP", v4.Tcp(40000, 80, TcpFlags.Syn), vary: true);
}

using (var setting = new Setting(new SourceRate(1_000_000_000, 1_000_000_000)))
using (var counting = new Counting(new SourceRate(1_000_000_000, 1_000_000_000)))
{
    Measure(setting, counting, "rate limit, admitted", PacketBuilder.Ethernet().IPv4(Setting.Client4, "198.18.11.1").Tcp(40000, 443, TcpFlags.Ack));
}

using (var setting = new Setting(new SourceRate(1, 1)))
using (var counting = new Counting(new SourceRate(1, 1)))
{
    Measure(setting, counting, "rate limit, exceeded", PacketBuilder.Ethernet().IPv4(Setting.Client4, "198.18.11.1").Tcp(40000, 443, TcpFlags.Ack));
}

BenchmarkRow.Publish(rows, args);
return 0;

static byte[] Padded(PacketBuilder packet) => packet.Payload(64).Build();

void Measure(Setting setting, Counting counting, string name, PacketBuilder builder, bool vary = false)
{
    var packet = Padded(builder);
    setting.Use(packet, vary);

    // A new connection comes from a port not seen before; the paths of the others begin at the second packet.
    byte[] counted = [.. packet];
    counted[Setting.SourcePortLow] += vary ? (byte)1 : (byte)0;
    var executed = counting.Count(counted, vary ? 1 : 2);
    if (!vary)
    {
        // Once each before comparing: the first packet of a connection goes another way.
        setting.Ours.RunOnce(packet);
        var ours = setting.Ours.RunOnce(packet);
        var clang = setting.Clang.RunOnce(packet);
        if (ours.Verdict != clang.Verdict || !ours.Packet.AsSpan().SequenceEqual(clang.Packet))
        {
            throw new InvalidOperationException($"{name}: the two programs disagree: {ours.Verdict} and {clang.Verdict}");
        }

        if (ours.Verdict != executed.Verdict || !ours.Packet.AsSpan().SequenceEqual(executed.Packet))
        {
            throw new InvalidOperationException($"{name}: kernel and interpreter disagree: {ours.Verdict} and {executed.Verdict}");
        }
    }

    rows.Add(new(name, "instructions executed", "count", executed.Ours, executed.Clang, Baseline));
    var samples = new List<(double OursRaw, double ClangRaw, double OursNull, double ClangNull)>();
    for (var place = 0; place < Places; place++)
    {
        setting.Ours.Reload();
        setting.Clang.Reload();
        for (var round = 0; round <= Rounds; round++)
        {
            var sample = (
                setting.Ours.EdgeNanoseconds(packet, Repeat), setting.Clang.EdgeNanoseconds(packet, Repeat),
                setting.Ours.RestoreNanoseconds(packet, Repeat), setting.Clang.RestoreNanoseconds(packet, Repeat));
            if (round > 0)
            {
                samples.Add(sample); // The first round warms caches and is not counted.
            }
        }
    }

    var oursNull = samples.Min(s => s.OursNull);
    var clangNull = samples.Min(s => s.ClangNull);
    rows.Add(new(name, "time, minimum", "ns", samples.Min(s => s.OursRaw) - oursNull, samples.Min(s => s.ClangRaw) - clangNull, Baseline));
    rows.Add(new(name, "time, median", "ns", Median(samples.Select(s => s.OursRaw - s.OursNull)), Median(samples.Select(s => s.ClangRaw - s.ClangNull)), Baseline));
}

static double Median(IEnumerable<double> values)
{
    var sorted = values.Order().ToArray();
    return sorted[sorted.Length / 2];
}
