using System.Globalization;
using System.Runtime.InteropServices;
using Skep.Bpf.Elf;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using Skep.Packets;

namespace Skep.Benchmarks.Balancing;

/// <summary>Katran, compiled from a checkout that is no part of this repository, with the same endpoints and backends as ours.</summary>
internal sealed class Katran : IDisposable
{
    /// <summary>Slots of its rings, a constant of its sources.</summary>
    internal const int RingSize = 65537;

    private const int MostVips = 512;
    private const int MostReals = 4096;
    private const uint Connections = 1_000_000;

    // Where Debian keeps headers that differ between machines, and what they are told apart by; clang's target BPF has neither.
    private static readonly string Machine = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? "aarch64" : "x86_64";

    private readonly LoadedObject _object;
    private readonly ArrayMap<BenchTemplate> _template;
    private readonly List<BpfMap> _maps = [];

    private Katran(string sources, IReadOnlyList<(IpAddress Address, IpProtocol Protocol)> vips, int backends)
    {
        // Its limit on new connections per second, which stops it from remembering them, would make the case of new flows another.
        var spec = ObjectSpec.Read(ClangObject.Build(
            Path.Combine(AppContext.BaseDirectory, "katran.c"),
            "-g", "-w", $"-I{sources}", $"-I{sources}/katran/lib/linux_includes", $"-I/usr/include/{Machine}-linux-gnu", $"-D__{Machine}__", string.Create(CultureInfo.InvariantCulture, $"-DMAX_CONN_RATE={int.MaxValue}")));
        _object = spec.Load();
        if (_object.Programs.FirstOrDefault(p => p.Error is not null) is { Error: { } error })
        {
            throw new InvalidOperationException($"Katran in {sources} does not load", error);
        }

        _template = Open(new ArrayMap<BenchTemplate>(1, "bench_template"));
        Baseline.Fill(
            Open(new HashMap<Baseline.VipKey, Baseline.Vip>(MostVips, "vip_map")),
            Open(new ArrayMap<uint>(MostVips * RingSize, "ch_rings")),
            Open(new ArrayMap<Baseline.Real>(MostReals, "reals")),
            Open(new ArrayMap<ulong>(16, "ctl_array")),
            vips, backends, RingSize, ipv6: 0);
        var table = new LruHashMap<Baseline.Flow, Baseline.Slot>(Connections, "katran_lru");
        table.Bind(KernelMapStorage.Create(table));
        _maps.Add(table);
        var tables = Open(new ArrayOfMaps<LruHashMap<Baseline.Flow, Baseline.Slot>>(128, new LruHashMap<Baseline.Flow, Baseline.Slot>(1000), "lru_mapping"));
        for (var cpu = 0u; cpu < Environment.ProcessorCount; cpu++)
        {
            tables.Set(cpu, table);
        }

        Contender = new Contender("Katran", spec.Program("bench"), spec.Program("balancer_ingress"));
    }

    internal Contender Contender { get; }

    /// <summary>Katran, when its tables take that many endpoints and backends; else null.</summary>
    internal static Katran? For(string sources, IReadOnlyList<(IpAddress Address, IpProtocol Protocol)> vips, int backends, int ringSize) =>
        ringSize == RingSize && vips.Count <= MostVips && 2 * (backends + 1) <= MostReals ? new Katran(sources, vips, backends) : null;

    /// <summary>Puts a packet where it is restored from.</summary>
    internal void Use(in BenchTemplate template) => _template.Set(0, in template);

    public void Dispose()
    {
        Contender.Dispose();
        _maps.ForEach(m => m.Dispose());
        _object.Dispose();
    }

    // A map of the object, with the types of its entries.
    private T Open<T>(T map) where T : BpfMap
    {
        var loaded = _object.Maps.First(m => m.Map.Name == map.Name).Map;
        map.Bind(KernelMapStorage.OpenById(((KernelMapStorage)loaded.Storage).Id));
        _maps.Add(map);
        return map;
    }
}
