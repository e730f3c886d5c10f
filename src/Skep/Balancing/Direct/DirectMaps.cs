using System.Numerics;
using Skep.Bpf.Maps;
using Skep.Engine;

namespace Skep.Balancing;

/// <summary>
/// The maps of direct return, beside the ring and the counters of <see cref="BalancerMaps"/>. The arrays are mapped to pages, so that entries of 64 bytes are
/// lines of the processor's cache.
/// </summary>
public sealed class DirectMaps
{
    internal DirectMaps(uint maxServices, uint maxBackends, uint maxFlows, bool measure)
    {
        // Entries name services by 16 bits.
        maxServices = Math.Min(maxServices, ushort.MaxValue);

        // A third full at most: then two places for each key are always enough.
        Vips = new(BitOperations.RoundUpToPowerOf2(Math.Max(4, maxServices * 3)), "edge_vips", MapFlags.Mmapable);
        Services = new(maxServices, "edge_direct");
        // Flows name backends by 16 bits; id 0 means none.
        Tunnels = new(Math.Min(maxBackends, ushort.MaxValue) + 1, "edge_tunnels", MapFlags.Mmapable);
        Flows = new(BitOperations.RoundUpToPowerOf2(Math.Max(1, maxFlows / FlowSet.Ways)), "edge_flows", MapFlags.Mmapable);
        Sources = new(MaxSources, "edge_allowed");
        QuicServers = new(BitOperations.RoundUpToPowerOf2(Math.Clamp(maxBackends, 4, MaxQuicServers) * 3), "edge_quic", MapFlags.Mmapable);
        Samples = new(measure ? MaxSamples : 1, "edge_samples");
        Sampled = new(measure ? Math.Min(maxBackends, ushort.MaxValue) + 1 : 1, "edge_sampled");
        SampleMask = new("edge_sample_mask");
        Delivery = new(1, "edge_delivery");
        Seed = new("edge_seed");
    }

    /// <summary>Source prefixes of all services.</summary>
    public const uint MaxSources = 16384;

    /// <summary>Backends with QUIC server ids, counted once for every endpoint.</summary>
    public const uint MaxQuicServers = 4096;

    /// <summary>Connections that are sampled at a time; a power of two.</summary>
    public const uint MaxSamples = 16384;

    /// <summary>Virtual endpoints; see <see cref="VipSlot"/>.</summary>
    public ArrayMap<VipSlot> Vips { get; }

    /// <summary>Services by id.</summary>
    public ArrayMap<DirectService> Services { get; }

    /// <summary>Ways to the backends by id.</summary>
    public ArrayMap<Tunnel> Tunnels { get; }

    /// <summary>Flows that were given a backend.</summary>
    public ArrayMap<FlowSet> Flows { get; }

    /// <summary>Sources that may use restricted services.</summary>
    public LpmTrie<SourceKey, byte> Sources { get; }

    /// <summary>Backends by their QUIC server ids; see <see cref="VipSlot"/>.</summary>
    public ArrayMap<VipSlot> QuicServers { get; }

    /// <summary>Sampled connections, by their hash.</summary>
    public ArrayMap<FlowSample> Samples { get; }

    /// <summary>What sampled connections told about backends, by id; one entry when nothing is measured.</summary>
    public PerCpuArrayMap<SampledSignals> Sampled { get; }

    /// <summary>Bits of a flow's hash that have to be 0 for it to be sampled; see <see cref="SampleRate"/>.</summary>
    public Global<uint> SampleMask { get; }

    /// <summary>Where functions of a program write down where a packet goes: the stack is short. Of no meaning between packets.</summary>
    internal PerCpuArrayMap<Delivery> Delivery { get; }

    /// <summary>Secret of the hashes of flows and connections; 0 until it is drawn.</summary>
    public Global<ulong> Seed { get; }

    /// <summary>User side: the secret, the same as long as the tables live; drawn when they are new.</summary>
    internal ulong DrawSeed()
    {
        ref var seed = ref Seed.Value;
        while (seed == 0)
        {
            System.Security.Cryptography.RandomNumberGenerator.Fill(System.Runtime.InteropServices.MemoryMarshal.AsBytes(new Span<ulong>(ref seed)));
        }

        return seed;
    }

    /// <summary>User side: flows that are remembered.</summary>
    internal long CountFlows()
    {
        var ways = System.Runtime.InteropServices.MemoryMarshal.Cast<FlowSet, ulong>(Flows.Entries);
        return ways.Length - System.MemoryExtensions.Count(ways, 0ul);
    }

    /// <summary>What becomes of the entries of a map when an agent wants it in another size or layout.</summary>
    /// <param name="map">One of these maps.</param>
    /// <param name="exchange"><see cref="BalancerMaps.Exchange"/>.</param>
    internal MapMigration MigrationOf(BpfMap map, Global<ulong> exchange) =>
        map == Vips ? MapMigration.Kept with { By = new VipMigration(Services.MaxEntries) }
        : map == QuicServers ? MapMigration.Rebuilt with { By = new VipMigration(uint.MaxValue) }
        : map == Flows ? MapMigration.Cache with { By = new FlowMigration(exchange) }
        : map == Seed ? MapMigration.Kept
        : map == Delivery ? MapMigration.Scratch
        : MapMigration.Rebuilt;

    /// <summary>All maps; first the one that places in others go by.</summary>
    public IReadOnlyList<BpfMap> All => [Seed, Vips, Services, Tunnels, Flows, Sources, QuicServers, Samples, Sampled, SampleMask, Delivery];
}
