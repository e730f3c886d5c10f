using Skep.Balancing;
using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Edge;
using Skep.Filtering;
using Skep.Packets;

namespace Skep.Benchmarks.Edge;

/// <summary>Both contenders over the same maps but for connections, which are filled like those of a small edge.</summary>
internal sealed class Setting : IDisposable
{
    internal const string VirtualV4 = "198.18.100.1";
    internal const string VirtualV6 = "fd5e:100::1";
    internal const string Client4 = "198.18.1.10";
    internal const string Client6 = "fd5e:1::10";
    internal const string Blocked = "203.0.113.7";
    internal const string BlockedNet = "192.0.2.77";

    /// <summary>Byte of the source port's lower half in an IPv4 packet.</summary>
    internal const int SourcePortLow = 35;

    private const int Backends = 20;

    private readonly EdgeMaps _maps;
    private readonly BpfMap[] _baseline;

    internal Setting(SourceRate? rate)
    {
        // Without what the baseline does not do.
        var options = new EdgeOptions { RateLimit = rate, Measure = false };
        _maps = new EdgeMaps(options);
        Template = new ArrayMap<BenchTemplate>(1, "bench_template");
        var edge = new EdgeProgram(_maps, options);
        Ours = new Contender(
            ProgramCompiler.Compile(new BenchProgram(edge, Template)), ProgramCompiler.Compile(new BenchProgram(null, Template)), ProgramCompiler.Compile(edge));

        var maps = BaselineMaps.Over(_maps.All.Append(Template), options);
        _baseline = [.. maps.Values.Except(_maps.All)];
        var clang = CompileClang(options);
        Clang = new Contender(clang.Program("xdp/edge", "clang_edge", maps), clang.Program("xdp/null", "clang_null", maps), clang.Program("xdp/alone", "clang_alone", maps));
        foreach (var map in _maps.All.Where(m => !m.IsBound))
        {
            // Not used by a program of these options.
            map.Bind(KernelMapStorage.Create(map));
        }

        Fill(_maps, TimeProvider.System);
    }

    internal Contender Ours { get; }

    internal Contender Clang { get; }

    internal ArrayMap<BenchTemplate> Template { get; }

    /// <summary>Puts a packet where both sides restore it from.</summary>
    internal void Use(byte[] packet, bool vary) => Template.Set(0, BenchTemplate.Of(packet, vary));

    /// <summary>The baseline for the same options.</summary>
    internal static ClangObject CompileClang(EdgeOptions options)
    {
        List<string> defines = [];
        if (options.RateLimit is { } rate)
        {
            var interval = 1_000_000_000UL / rate.PacketsPerSecond;
            defines.AddRange([$"-DRATE_INTERVAL={interval}ull", $"-DRATE_TOLERANCE={interval * (rate.Burst - 1)}ull"]);
        }

        return ClangObject.Compile(Path.Combine(AppContext.BaseDirectory, "edge.c"), [.. defines]);
    }

    /// <summary>Services, backends and block list of a small edge; the maps have storage.</summary>
    internal static void Fill(EdgeMaps maps, TimeProvider time)
    {
        var state = new EdgeState(maps, time);
        ServiceModel Service(string address, IpProtocol protocol, Func<int, string> backend) => new(
            "bench", IpAddress.Parse(address), 80, protocol,
            [.. Enumerable.Range(1, Backends).Select(i => new BackendModel(IpAddress.Parse(backend(i)), 8080, 1 + (i % 3)))]);
        var problems = state.Balancer.Apply(
        [
            Service(VirtualV4, IpProtocol.Tcp, i => $"198.18.11.{i}"), Service(VirtualV4, IpProtocol.Udp, i => $"198.18.11.{i}"),
            Service(VirtualV6, IpProtocol.Tcp, i => $"fd5e:11::{i}"), Service(VirtualV6, IpProtocol.Udp, i => $"fd5e:11::{i}"),
        ]);
        if (!problems.IsEmpty)
        {
            throw new InvalidOperationException(string.Join("; ", problems));
        }

        foreach (var prefix in new[] { Blocked + "/32", "192.0.2.0/24" }.Concat(Enumerable.Range(0, 1000).Select(i => $"100.{64 + (i >> 8)}.{i & 255}.0/24")))
        {
            state.BlockList.Block(new BlockRequest(IpPrefix.Parse(prefix)));
        }

        for (var i = 0; i < 1000; i++)
        {
            state.BlockList.Block(new BlockRequest(IpPrefix.Parse($"203.0.{i >> 8}.{i & 255}/32")));
        }
    }

    public void Dispose()
    {
        Ours.Dispose();
        Clang.Dispose();
        foreach (var map in _maps.All.Concat(_baseline))
        {
            map.Dispose();
        }
    }
}
