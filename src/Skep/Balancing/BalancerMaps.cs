using System.Numerics;
using Skep.Bpf.Maps;
using Skep.Engine;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>The maps of the balancer.</summary>
public sealed class BalancerMaps
{
    internal BalancerMaps(uint maxServices, uint maxBackends, int ringSize, uint ringRows, uint maxConnections, bool measure, uint maxFlows)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(maxBackends, 1u << 24);
        ArgumentOutOfRangeException.ThrowIfLessThan(ringSize, 3);
        MaxServices = maxServices;
        RingSize = ringSize;
        Slots = RingSlots.For(maxBackends);
        // A service, and its address alone so that fragments and errors without ports are recognised.
        Services = new(maxServices * 2, "edge_services");
        // Mapped: a ring is changed slot by slot without a call, and read back without one.
        Ring = new(Math.Max(ringRows, 2 * Slots.RowsOf(ringSize)), Slots.IsWide ? WideRing : NarrowRing, MapFlags.Mmapable);
        // Id 0 means none.
        Backends = new(maxBackends + 1, "edge_backends", MapFlags.Mmapable);
        BackendCounters = new(maxBackends + 1, "edge_be_count");
        Signals = new(measure ? maxBackends + 1 : 1, "edge_signals");
        Histograms = new((measure ? maxBackends + 1 : 1) * BackendHistograms.PerBackend, "edge_histograms", MapFlags.Mmapable);
        Open = new(measure ? maxBackends + 1 : 1, "edge_open", MapFlags.Mmapable);
        var sets = SetsFor(maxConnections);
        ConnectionSets = new(sets, "edge_sets");
        Connections = new(sets * Tracker.Ways, "edge_conns", MapFlags.Mmapable);
        Fragments = new(4096, "edge_fragments");
        SourcePools = new(maxServices * SourcePool.MostAddresses, "edge_source_pools", MapFlags.Mmapable);
        Limits = new(maxServices, "edge_limits", MapFlags.Mmapable);
        // Eight bits for each address at most, and no more than fit a processor's second cache.
        Known = new(Math.Clamp(BitOperations.RoundUpToPowerOf2((maxServices + maxBackends) / 8), 16, 1 << 14), "edge_known");
        Clock = new("edge_clock");
        Exchange = new("edge_exchange");
        Direct = new DirectMaps(maxServices, maxBackends, maxFlows, measure);
    }

    // Rows of either sort are of one type, and mean something else.
    private const string NarrowRing = "edge_ring", WideRing = "edge_ring_wide";

    /// <summary>Services at most.</summary>
    public uint MaxServices { get; }

    /// <summary>Slots of the largest ring.</summary>
    public int RingSize { get; }

    /// <summary>How slots lie in rows.</summary>
    internal RingSlots Slots { get; }

    /// <summary>Services by address, port and protocol.</summary>
    public HashMap<ServiceKey, ServiceEntry> Services { get; }

    /// <summary>
    /// The rings of all services, each a run of rows. A row holds four slots of 16 bits, or two of 32 when there are more than 65,535 backends: the
    /// id of a backend, or 0. The kernel rounds array values up to eight bytes anyway.
    /// </summary>
    public ArrayMap<ulong> Ring { get; }

    /// <summary>Backends by id.</summary>
    public ArrayMap<BackendEntry> Backends { get; }

    /// <summary>Traffic per backend id and CPU.</summary>
    public PerCpuArrayMap<BackendCounter> BackendCounters { get; }

    /// <summary>What packets told about backends, per backend id and CPU; one entry when nothing is measured.</summary>
    public PerCpuArrayMap<BackendSignals> Signals { get; }

    /// <summary>Times of handshakes and responses, <see cref="BackendHistograms.PerBackend"/> counts for each backend id.</summary>
    public ArrayMap<ulong> Histograms { get; }

    /// <summary>Open TCP connections per backend id; <see cref="ConnectionTable.Sweep"/> takes off those that vanished, and counts those of UDP.</summary>
    public ArrayMap<long> Open { get; }

    /// <summary>Records of connections, seven of each of <see cref="ConnectionSets"/> in a row; see <see cref="Tracker"/>.</summary>
    public ArrayMap<Connection> Connections { get; }

    /// <summary>
    /// Which records are taken, and what to look for in them, a word for every seven. It changes its size with theirs; when it is their layout that changes, this map needs
    /// another name, because words of before would say that new records are taken.
    /// </summary>
    public GlobalArray<ulong> ConnectionSets { get; }

    /// <summary>The way of fragmented packets.</summary>
    public LruHashMap<FragmentKey, FragmentRoute> Fragments { get; }

    /// <summary>What clients' addresses are replaced by, <see cref="SourcePool.MostAddresses"/> for each service.</summary>
    public ArrayMap<SourcePool> SourcePools { get; }

    /// <summary>
    /// Seconds that the agent counts, stamped on connections: reading it costs one load where a clock helper costs 20 ns. It stands still while no
    /// agent runs, and then nothing ages.
    /// </summary>
    public Global<uint> Clock { get; }

    /// <summary>Programs' time in nanoseconds until which programs are exchanged for ones with other tables; 0 when they are not. See <see cref="ExchangeHold"/>.</summary>
    public Global<ulong> Exchange { get; }

    /// <summary>A bit for every address of a service, and another for one of a backend that answers through here: see <see cref="KnownAddresses"/>.</summary>
    public GlobalArray<KnownBits> Known { get; }

    /// <summary>Limits of services by their id.</summary>
    public ArrayMap<ServiceLimit> Limits { get; }

    /// <summary>What direct return needs besides.</summary>
    public DirectMaps Direct { get; }

    /// <summary>All maps; those of direct return first, whose seed the places of connections go by, and sets before their records.</summary>
    public IReadOnlyList<BpfMap> All =>
        [.. Direct.All, Services, Ring, Backends, BackendCounters, Signals, Histograms, Open, ConnectionSets, Connections, Fragments, SourcePools, Known, Limits, Clock, Exchange];

    /// <summary>What becomes of the entries of a map when an agent wants it in another size or layout.</summary>
    public MapMigration MigrationOf(BpfMap map)
    {
        ArgumentNullException.ThrowIfNull(map);
        return map == Services ? new() { MayLose = true, By = new ServiceMigration(MaxServices) }
            : map == Ring ? MapMigration.Rebuilt with { By = new RingMigration(), FormerNames = [Slots.IsWide ? NarrowRing : WideRing] }
            // Connections and flows name backends by their numbers.
            : map == Backends || map == Clock ? MapMigration.Kept
            : map == Connections ? MapMigration.Live with { By = new ConnectionMigration(this) }
            // Written with the connections, and by the user half from what there is.
            : map == ConnectionSets || map == Known ? MapMigration.Scratch
            : map == Fragments ? MapMigration.Cache
            : Direct.All.Contains(map) ? Direct.MigrationOf(map, Exchange)
            // By numbers of services and backends, of which those that are in use are all looked at above.
            : MapMigration.Rebuilt;
    }

    // A fifth more than are asked for: then hardly one of them finds no room in the two sets that it may have.
    private static uint SetsFor(uint maxConnections) => Math.Max(2, (uint)(((ulong)maxConnections * 6 / 5 / Tracker.Ways) + 1));
}
