using System.Numerics;
using System.Runtime.InteropServices;
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
        // Two entries each: three quarters for connections that are established.
        Beginning = new(Math.Max(2, maxConnections / 2), "edge_new_conns");
        Established = new(Math.Max(2, (maxConnections * 2) - (maxConnections / 2)), "edge_conns");
        Fragments = new(4096, "edge_fragments");
        Addresses = new(MaxAddresses + 1, "edge_addresses", MapFlags.Mmapable);
        AddressNumbers = new(MaxAddresses, "edge_addr_ids");
        SourcePools = new(maxServices * SourcePool.MostAddresses, "edge_source_pools", MapFlags.Mmapable);
        Limits = new(maxServices, "edge_limits", MapFlags.Mmapable);
        // Eight bits for each address at most, and no more than fit a processor's second cache.
        Known = new(Math.Clamp(BitOperations.RoundUpToPowerOf2((maxServices + maxBackends) / 8), 16, 1 << 14), "edge_known", MapFlags.Mmapable);
        Clock = new("edge_clock");
        Direct = new DirectMaps(maxServices, maxBackends, maxFlows, measure);
    }

    // Rows of either sort are of one type, and mean something else.
    private const string NarrowRing = "edge_ring", WideRing = "edge_ring_wide";

    /// <summary>Addresses that source translation can name: a connection has a byte for it.</summary>
    public const uint MaxAddresses = 255;

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

    /// <summary>Connections whose backend answered, each under two keys: as the client sends and as the backend answers. None makes room for another.</summary>
    public HashMap<ConnectionKey, Connection> Established { get; }

    /// <summary>Connections that begin, likewise; the least recently used makes room.</summary>
    public LruHashMap<ConnectionKey, Connection> Beginning { get; }

    /// <summary>The way of fragmented packets.</summary>
    public LruHashMap<FragmentKey, FragmentRoute> Fragments { get; }

    /// <summary>Addresses that connections with source translation name by a number: virtual ones, and own ones that backends see. 0 is none.</summary>
    public ArrayMap<IpAddress> Addresses { get; }

    /// <summary>The numbers of <see cref="Addresses"/>.</summary>
    public HashMap<IpAddress, uint> AddressNumbers { get; }

    /// <summary>What clients' addresses are replaced by, <see cref="SourcePool.MostAddresses"/> for each service.</summary>
    public ArrayMap<SourcePool> SourcePools { get; }

    /// <summary>
    /// Seconds that the agent counts, stamped on connections: reading it costs one load where a clock helper costs 20 ns. It stands still while no
    /// agent runs, and then nothing ages.
    /// </summary>
    public Global<uint> Clock { get; }

    /// <summary>A bit for every address of a service, and of a backend that answers through here: see <see cref="KnownAddresses"/>.</summary>
    public ArrayMap<ulong> Known { get; }

    /// <summary>Limits of services by their id.</summary>
    public ArrayMap<ServiceLimit> Limits { get; }

    /// <summary>What direct return needs besides.</summary>
    public DirectMaps Direct { get; }

    /// <summary>All maps.</summary>
    public IReadOnlyList<BpfMap> All => [Services, Ring, Backends, BackendCounters, Signals, Histograms, Open, Established, Beginning, Fragments, Addresses, AddressNumbers, SourcePools, Known, Limits, Clock, .. Direct.All];

    /// <summary>What becomes of the entries of a map when an agent wants it in another size or layout.</summary>
    public MapMigration MigrationOf(BpfMap map)
    {
        ArgumentNullException.ThrowIfNull(map);
        return map == Services ? new() { MayLose = true, By = new ServiceMigration(MaxServices) }
            : map == Ring ? MapMigration.Rebuilt with { By = new RingMigration(), FormerNames = [Slots.IsWide ? NarrowRing : WideRing] }
            // Connections and flows name backends by their numbers.
            : map == Backends || map == Addresses || map == AddressNumbers || map == Clock ? MapMigration.Kept
            : map == Established ? MapMigration.Live
            : map == Beginning || map == Fragments ? MapMigration.Cache
            : Direct.All.Contains(map) ? Direct.MigrationOf(map)
            // By numbers of services and backends, of which those that are in use are all looked at above.
            : MapMigration.Rebuilt;
    }

    /// <summary>User side: all entries of connections. Those that come, go or move meanwhile may be missed or repeated.</summary>
    internal void ReadConnections(Action<ConnectionKey, Connection> visit)
    {
        Beginning.ReadAll((key, connection) => visit(key, connection));
        Established.ReadAll((key, connection) => visit(key, connection));
    }

    /// <summary>User side: the entry under a key.</summary>
    internal bool TryGetConnection(in ConnectionKey key, out Connection connection) =>
        Established.TryGet(in key, out connection) || Beginning.TryGet(in key, out connection);

    /// <summary>User side: removes the entry under a key, wherever it is.</summary>
    internal bool RemoveConnection(in ConnectionKey key) => Established.Remove(in key) | Beginning.Remove(in key);

    /// <summary>User side: removes entries.</summary>
    internal void RemoveConnections(List<ConnectionKey> keys)
    {
        Established.RemoveAll(CollectionsMarshal.AsSpan(keys));
        Beginning.RemoveAll(CollectionsMarshal.AsSpan(keys));
    }
}
