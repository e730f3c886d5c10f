using System.Globalization;
using Skep.Balancing;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Benchmarks.Balancing;

/// <summary>
/// ns per packet of direct return, ours against the same design as the best-known balancer's in C by clang -O2; the packet is restored before each run, and what
/// that costs is part of every figure. All contenders run in turns in one process, CPU time of the thread.
/// </summary>
/// <param name="rows">Takes the results.</param>
/// <param name="args">Arguments of the command.</param>
internal sealed class DirectCases(List<BenchmarkRow> rows, string[] args)
{
    private const string Baseline = "LRU design, clang -O2 -mcpu=v3";
    private const string General = "our general program";
    private const string GeneralNet = "our general program, both without the loop and the restoring";
    private const int Rounds = 5;
    private const int IpIp = 20, IpIp6 = 40, Udp = 8, GeneveShim = 32;

    private readonly int _places = Array.IndexOf(args, "--quick") >= 0 ? 1 : 3;
    private readonly string? _katran = Array.IndexOf(args, "--katran") is var of and >= 0 ? Path.GetFullPath(args[of + 1]) : null;
    private readonly string _only = Array.IndexOf(args, "--case") is var at and >= 0 ? args[at + 1] : "";

    private readonly byte[] _ack = PacketBuilder.Ethernet().IPv4("192.168.0.0", Setting.Vip(0).ToString()).Tcp(0, Setting.Port, TcpFlags.Ack).Payload(74).Build();
    private readonly byte[] _syn = PacketBuilder.Ethernet().IPv4("192.168.0.0", Setting.Vip(0).ToString()).Tcp(0, Setting.Port, TcpFlags.Syn).Payload(74).Build();
    private readonly byte[] _udp = PacketBuilder.Ethernet().IPv4("192.168.0.0", Setting.Vip(0).ToString()).Udp(0, Setting.Port).Payload(86).Build();
    private readonly byte[] _ack6 = PacketBuilder.Ethernet().IPv6("fd5e:1::", Setting.Vip6(0).ToString()).Tcp(0, Setting.Port, TcpFlags.Ack).Payload(54).Build();
    private readonly byte[] _syn6 = PacketBuilder.Ethernet().IPv6("fd5e:1::", Setting.Vip6(0).ToString()).Tcp(0, Setting.Port, TcpFlags.Syn).Payload(54).Build();
    private readonly byte[] _other = PacketBuilder.Ethernet().IPv4("192.168.0.0", "198.51.100.1").Tcp(0, 443, TcpFlags.Ack).Payload(74).Build();

    internal void Measure()
    {
        using (var setting = new Setting(vips: 3, backends: 100, katran: _katran))
        {
            Sizes(setting, "3 endpoints, 100 backends");
            Swaps(setting, "3 endpoints, 100 backends");
            Compare(setting, "IPv4 TCP, 1 flow", _ack, 1, 4, IpIp, 50_000);
            Compare(setting, "IPv4 TCP, 1,000 flows", _ack, 1_000, 4, IpIp, 50_000);
            Compare(setting, "IPv4 TCP, 10,000 flows", _ack, 10_000, 4, IpIp, 50_000);
            Compare(setting, "IPv4 TCP, 100,000 flows", _ack, 100_000, 4, IpIp, 200_000);
            Compare(setting, "IPv4 TCP, new flows", _syn, 1 << 30, 4, IpIp, 100_000);
            Compare(setting, "IPv4 UDP, 1,000 flows", _udp, 1_000, 4, IpIp, 50_000);
            Compare(setting, "IPv6 TCP, 1,000 flows", _ack6, 1_000, 6, IpIp6, 50_000);
            Compare(setting, "IPv6 TCP, 100,000 flows", _ack6, 100_000, 6, IpIp6, 200_000);
            Compare(setting, "IPv6 TCP, new flows", _syn6, 1 << 30, 6, IpIp6, 100_000);
            Compare(setting, "none of the endpoints, passed", _other, 1_000, 4, 0, 50_000);
        }

        if (args.Contains("--first"))
        {
            return;
        }

        foreach (var (vips, backends, ring) in new[] { (1, 100, 65537), (16, 100, 4099), (100, 100, 4099), (10_000, 6, 251), (1, 1, 65537), (1, 4000, 65537) })
        {
            using var setting = new Setting(vips, backends, ring, katran: _katran);
            var name = string.Create(CultureInfo.InvariantCulture, $"{vips:N0} endpoints, {backends:N0} backends");
            Sizes(setting, name);
            Swaps(setting, name);
            Compare(setting, $"{name}: IPv4 TCP, 10,000 flows", _ack, 10_000, 4, IpIp, 50_000);
            Compare(setting, $"{name}: passed", _other, 1_000, 4, 0, 50_000);
        }

        Encapsulations();
    }

    private void Sizes(Setting setting, string name)
    {
        if (setting.Clang is not { } clang || (_only.Length > 0 && !name.Contains(_only, StringComparison.Ordinal)))
        {
            return;
        }

        foreach (var ours in setting.All.Where(c => c != clang))
        {
            // Katran too, beside the baseline that was written after its design.
            rows.Add(new($"{ours.Name} program, {name}", "instructions", "count", ours.Instructions, clang.Instructions, Baseline));
            rows.Add(new($"{ours.Name} program, {name}", "instructions the verifier walks", "count", ours.VerifiedInstructions, clang.VerifiedInstructions, Baseline));
            rows.Add(new($"{ours.Name} program, {name}", "machine code", "bytes", ours.JitedBytes, clang.JitedBytes, Baseline));
            rows.Add(new($"{ours.Name} program, {name}", "time to load", "ms", ours.LoadMilliseconds, clang.LoadMilliseconds, Baseline));
        }
    }

    private void Swaps(Setting setting, string name)
    {
        if (_only.Length == 0 || "swap".Contains(_only, StringComparison.Ordinal))
        {
            SwapTimes.Measure(rows, setting, name);
        }
    }

    private void Compare(Setting setting, string name, byte[] packet, uint flows, int family, int undo, int repeat)
    {
        if (_only.Length > 0 && !name.Contains(_only, StringComparison.Ordinal))
        {
            return;
        }

        setting.Use(packet, flows, family, undo);
        var expected = undo == 0 ? XdpAction.Pass : XdpAction.Tx;
        var contenders = setting.All.ToArray();
        foreach (var contender in contenders)
        {
            if (contender.RunOnce(packet).Verdict != (int)expected)
            {
                throw new InvalidOperationException($"{name}: {contender.Name} does not {expected} the packet");
            }
        }

        var samples = Measure([.. contenders, setting.Nothing], packet, repeat, flows);
        var clang = Array.IndexOf(contenders, setting.Clang);
        var katran = Array.IndexOf(contenders, setting.Katran);
        var general = Array.IndexOf(contenders, setting.General);
        var nothing = contenders.Length;
        for (var i = 0; i < contenders.Length; i++)
        {
            if (i != clang)
            {
                Add($"{name}, {contenders[i].Name}", samples, i, clang, Baseline);
            }

            if (i != clang && i != katran && katran >= 0)
            {
                Add($"{name}, {contenders[i].Name} beside Katran", samples, i, katran, "Katran, clang -O2 -mcpu=v3");
            }

            if (i != clang && i != katran && i != general)
            {
                // What each step is worth.
                Add($"{name}, {contenders[i].Name} beside the general", samples, i, general, General);
                AddNet($"{name}, {contenders[i].Name} beside the general, net", samples, i, general, nothing);
            }
        }

        Add($"{name}, loop and restoring alone", samples, nothing, -1, "");
    }

    private void Encapsulations()
    {
        using var ipip = new Setting(3, 100, withBaseline: false);
        foreach (var (mode, extra) in new[] { (ForwardingMode.Gue, Udp), (ForwardingMode.Geneve, Udp + GeneveShim), (ForwardingMode.L2, -IpIp) })
        {
            using var setting = new Setting(3, 100, mode: mode, withBaseline: false);
            foreach (var (name, packet, family, header) in new[] { ("IPv4", _ack, 4, IpIp), ("IPv6", _ack6, 6, IpIp6) })
            {
                if (_only.Length > 0 && !name.Contains(_only, StringComparison.Ordinal))
                {
                    continue;
                }

                setting.Use(packet, 1_000, family, mode == ForwardingMode.L2 ? 0 : header + extra);
                ipip.Use(packet, 1_000, family, header);
                var samples = Measure([setting.Specialised!, ipip.Specialised!], packet, 50_000, 1_000);
                Add($"{mode}, {name} TCP, 1,000 flows", samples, 0, 1, "our own IPIP");
            }
        }
    }

    // Nanoseconds by round and contender. The first round fills tables and caches and is not counted.
    private List<double[]> Measure(Contender[] contenders, byte[] packet, int repeat, uint flows)
    {
        var samples = new List<double[]>();
        for (var place = 0; place < _places; place++)
        {
            foreach (var contender in contenders)
            {
                contender.Reload();
                contender.Nanoseconds(packet, (int)Math.Min(flows, 1_000_000) * 3);
            }

            for (var round = 0; round < Rounds; round++)
            {
                samples.Add([.. contenders.Select(c => c.Nanoseconds(packet, repeat))]);
            }
        }

        return samples;
    }

    private void Add(string name, List<double[]> samples, int ours, int baseline, string baselineName)
    {
        double? Least(int index) => index < 0 ? null : samples.Min(s => s[index]);
        double? Middle(int index) => index < 0 ? null : Median(samples.Select(s => s[index]));
        double[]? spread = baseline < 0 ? null : [Math.Round(samples.Min(s => s[ours] / s[baseline]), 3), Math.Round(samples.Max(s => s[ours] / s[baseline]), 3)];
        rows.Add(new(name, "time, minimum", "ns", Least(ours)!.Value, Least(baseline), baseline < 0 ? null : baselineName));
        rows.Add(new(name, "time, median", "ns", Middle(ours)!.Value, Middle(baseline), baseline < 0 ? null : baselineName, spread));
    }

    private void AddNet(string name, List<double[]> samples, int ours, int baseline, int nothing)
    {
        double Least(int index) => samples.Min(s => s[index]);
        rows.Add(new(name, "time, minimum", "ns", Least(ours) - Least(nothing), Least(baseline) - Least(nothing), GeneralNet));
    }

    private static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return sorted[sorted.Length / 2];
    }
}
