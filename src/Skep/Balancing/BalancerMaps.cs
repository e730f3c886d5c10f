using Skep.Bpf.Maps;

namespace Skep.Balancing;

/// <summary>The maps of the balancer.</summary>
public sealed class BalancerMaps
{
    /// <summary>Ring slots that share one row of the ring map.</summary>
    internal const int SlotsPerRow = 4;

    internal BalancerMaps(uint maxServices, uint maxBackends, int ringSize, uint maxConnections)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(maxBackends, ushort.MaxValue);
        ArgumentOutOfRangeException.ThrowIfLessThan(ringSize, 3);
        MaxServices = maxServices;
        RingSize = ringSize;
        // A service, and its address alone so that fragments and errors without ports are recognised.
        Services = new(maxServices * 2, "edge_services");
        Ring = new(maxServices * 2 * (uint)RowsPerRing, "edge_ring");
        // Id 0 means none.
        Backends = new(maxBackends + 1, "edge_backends");
        BackendCounters = new(maxBackends + 1, "edge_be_count");
        Connections = new(maxConnections * 2, "edge_conns");
        Fragments = new(4096, "edge_fragments");
        Clock = new("edge_clock");
    }

    /// <summary>Services at most.</summary>
    public uint MaxServices { get; }

    /// <summary>Slots of a ring.</summary>
    public int RingSize { get; }

    /// <summary>Rows of a ring.</summary>
    internal int RowsPerRing => (RingSize + SlotsPerRow - 1) / SlotsPerRow;

    /// <summary>Services by address, port and protocol.</summary>
    public HashMap<ServiceKey, ServiceEntry> Services { get; }

    /// <summary>
    /// Two rings per service, one in use and one to be written. A row holds four slots, each the 16-bit id of a backend; the kernel
    /// rounds array values up to eight bytes anyway.
    /// </summary>
    public ArrayMap<ulong> Ring { get; }

    /// <summary>Backends by id.</summary>
    public ArrayMap<BackendEntry> Backends { get; }

    /// <summary>Traffic per backend id and CPU.</summary>
    public PerCpuArrayMap<BackendCounter> BackendCounters { get; }

    /// <summary>Connections, each under two keys: as the client sends and as the backend answers.</summary>
    public LruHashMap<ConnectionKey, Connection> Connections { get; }

    /// <summary>The way of fragmented packets.</summary>
    public LruHashMap<FragmentKey, FragmentRoute> Fragments { get; }

    /// <summary>
    /// Seconds that the agent counts, stamped on connections: reading it costs one load where a clock helper costs 20 ns. It stands still while no
    /// agent runs, and then nothing ages.
    /// </summary>
    public Global<uint> Clock { get; }

    /// <summary>All maps.</summary>
    public IReadOnlyList<BpfMap> All => [Services, Ring, Backends, BackendCounters, Connections, Fragments, Clock];
}
