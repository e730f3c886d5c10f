using System.Globalization;
using Skep.Balancing;
using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Edge;
using Skep.Packets;

namespace Skep.Benchmarks.Balancing;

/// <summary>Our balancer, general, without what is not needed, and with the endpoints as code, and the baseline, over endpoints and backends of one size.</summary>
internal sealed class Setting : IDisposable
{
    internal const ushort Port = 80;

    private const int BaselineMostNew = int.MaxValue;

    private readonly EdgeMaps _maps;
    private readonly Baseline? _baseline;
    private readonly Katran? _katran;
    private readonly Contender[] _ours;

    internal Setting(int vips, int backends, int ringSize = 65537, ForwardingMode mode = ForwardingMode.IpIp, bool withBaseline = true, bool rotated = true, string? katran = null)
    {
        Template = new ArrayMap<BenchTemplate>(1, "bench_template");
        Template.Bind(KernelMapStorage.Create(Template));
        var endpoints = Endpoints(vips, rotated);
        var options = new EdgeOptions
        {
            BlockAddresses = false,
            BlockPrefixes = false,
            Balance = false,
            Measure = false,
            RingSize = ringSize,
            MaxServices = (uint)Math.Max(64, endpoints.Count),
            MaxBackends = (uint)Math.Min(ushort.MaxValue, Math.Max(64, endpoints.Count * backends)),
            MaxConnections = 64,
        };
        _maps = new EdgeMaps(options);
        foreach (var map in _maps.All)
        {
            map.Bind(KernelMapStorage.Create(map));
        }

        var state = new EdgeState(_maps, TimeProvider.System);
        state.Balancer.SetNextHops(Hops(backends));
        var problems = state.Balancer.Apply([.. endpoints.Select(e => Service(e.Address, e.Protocol, backends, mode))]);
        if (!problems.IsEmpty)
        {
            throw new InvalidOperationException(string.Join("; ", problems.Take(3)));
        }

        // Everything that the edge can do for services, as one would write it without specialisation; then without what these services do not need; then all endpoints
        // as code, the measured ones last; then with those that are measured first, and the table behind when there are too many.
        var services = state.Balancer.Services;
        uint[] hot = [.. services.Where(s => s.Model.Address == Vip(0) || s.Model.Address == Vip6(0)).Select(s => s.Id)];
        DirectOptions Plan(uint[] first, int most) => DirectPlan.For(services, Hops(backends).Values, 42, first, most)!;
        Shapes.Add(("general", options with { Balance = true, Direct = new DirectOptions { Seed = 42 } }));
        Shapes.Add(("table", options with { Direct = Plan([], 0) }));
        if (endpoints.Count <= VipList.Most)
        {
            Shapes.Add(("specialised", options with { Direct = Plan([], VipList.Most) }));
        }

        if (endpoints.Count > hot.Length)
        {
            Shapes.Add(("by traffic", options with { Direct = Plan(hot, VipList.Most) }));
        }

        _ours = [.. Shapes.Select(s => Contender(s.Name, s.Options))];
        Nothing = new Contender("nothing", ProgramCompiler.Compile(new BenchProgram(null, Template)), ProgramCompiler.Compile(new BenchProgram(null, Template)));
        if (withBaseline)
        {
            _baseline = new Baseline(endpoints, backends, ringSize);
            var maps = _baseline.All.Append(Template).ToDictionary(m => m.Name);
            var clang = ClangObject.Compile(
                Path.Combine(AppContext.BaseDirectory, "balancer.c"),
                string.Create(CultureInfo.InvariantCulture, $"-DRING={ringSize}"), string.Create(CultureInfo.InvariantCulture, $"-DMAX_NEW_PER_SECOND={BaselineMostNew}"));
            Clang = new Contender("clang", clang.Program("xdp/bench", "bench_clang", maps), clang.Program("xdp/alone", "clang_alone", maps));
            _katran = katran is null ? null : Balancing.Katran.For(katran, endpoints, backends, ringSize);
        }
    }

    internal ArrayMap<BenchTemplate> Template { get; }

    internal EdgeMaps Maps => _maps;

    /// <summary>What is measured, from the general program to the most special one.</summary>
    internal List<(string Name, EdgeOptions Options)> Shapes { get; } = [];

    internal Contender General => _ours[0];

    internal Contender? Specialised => _ours.FirstOrDefault(c => c.Name == "specialised");

    internal Contender? Clang { get; }

    /// <summary>Katran itself, when its sources were given and it takes a setting of this size.</summary>
    internal Contender? Katran => _katran?.Contender;

    /// <summary>The loop and the restoring of the packet alone, which are part of every figure.</summary>
    internal Contender Nothing { get; }

    internal IEnumerable<Contender> All => [.. _ours, .. new[] { Clang, Katran }.OfType<Contender>()];

    internal static IpAddress Vip(int number) => IpAddress.Parse(string.Create(CultureInfo.InvariantCulture, $"198.18.{number / 250}.{1 + (number % 250)}"));

    internal static IpAddress Vip6(int number) => IpAddress.Parse(string.Create(CultureInfo.InvariantCulture, $"fd5e:100::{number + 1:x}"));

    internal static IpAddress Backend(int number) => IpAddress.Parse(string.Create(CultureInfo.InvariantCulture, $"10.{number >> 16}.{(number >> 8) & 255}.{number & 255}"));

    internal static IpAddress Backend6(int number) => IpAddress.Parse(string.Create(CultureInfo.InvariantCulture, $"fd5e:10::{number:x}"));

    /// <summary>Puts a packet where all sides restore it from.</summary>
    internal void Use(byte[] packet, uint flows, int family, int undo)
    {
        var template = BenchTemplate.Of(packet, flows, family, undo);
        Template.Set(0, in template);
        _katran?.Use(in template);
    }

    public void Dispose()
    {
        foreach (var contender in All.Append(Nothing).Except(new[] { Katran }))
        {
            contender!.Dispose();
        }

        _katran?.Dispose();

        _baseline?.Dispose();
        foreach (var map in _maps.All.Append(Template))
        {
            map.Dispose();
        }
    }

    // The measured ones are the last of the list, which is where a list of comparisons is slowest.
    private static List<(IpAddress Address, IpProtocol Protocol)> Endpoints(int vips, bool rotated)
    {
        var measured = new[] { (Vip(0), IpProtocol.Tcp), (Vip(0), IpProtocol.Udp), (Vip6(0), IpProtocol.Tcp) };
        var others = Enumerable.Range(1, Math.Max(0, vips - measured.Length)).Select(i => (Vip(i), IpProtocol.Tcp));
        return rotated ? [.. others, .. measured.Take(vips)] : [.. measured.Take(vips), .. others];
    }

    private static ServiceModel Service(IpAddress address, IpProtocol protocol, int backends, ForwardingMode mode) => new(
        "bench", address, Port, protocol,
        [.. Enumerable.Range(1, backends).Select(i => new BackendModel(address.IsIPv4 ? Backend(i) : Backend6(i), Port))])
    {
        Forwarding = mode,
    };

    private static Dictionary<IpAddress, BackendPath> Hops(int backends)
    {
        var hop = new BackendPath(IpAddress.Parse("10.255.0.1"), 1500, 1, MacAddress.Parse("02:00:00:00:00:01"), MacAddress.Parse("02:00:00:00:00:bb"));
        var hop6 = hop with { SourceAddress = IpAddress.Parse("fd5e:10::ffff") };
        return Enumerable.Range(1, backends).SelectMany(i => new[] { (Backend(i), hop), (Backend6(i), hop6) }).ToDictionary(p => p.Item1, p => p.Item2);
    }

    private Contender Contender(string name, EdgeOptions options)
    {
        var program = new EdgeProgram(_maps, options);
        return new Contender(name, ProgramCompiler.Compile(new BenchProgram(program, Template)), ProgramCompiler.Compile(program));
    }
}
