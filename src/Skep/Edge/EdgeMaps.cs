using Skep.Balancing;
using Skep.Bpf.Maps;
using Skep.Edge.Tracing;
using Skep.Engine;
using Skep.Filtering;
using Skep.Packets;

namespace Skep.Edge;

/// <summary>
/// The maps of the edge, made once and shared by every program object that follows: the agent replaces programs, the maps stay.
/// </summary>
public sealed class EdgeMaps
{
    /// <summary>Interfaces of which it is known whether they have a peer; numbers are given in a row, and of larger ones it is not.</summary>
    public const uint MostInterfaces = 16384;

    /// <summary>Describes the maps in the sizes of <paramref name="options"/>.</summary>
    public EdgeMaps(EdgeOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        Counters = new((uint)Enum.GetValues<EdgeVerdict>().Length, "edge_counters");
        BlockedAddresses = new(options.MaxBlockedAddresses, "edge_blocked");
        BlockedPrefixes = new(options.MaxBlockedPrefixes, "edge_prefixes");
        Sources = new(options.MaxSources, "edge_sources");
        Peers = new(MostInterfaces, "edge_peers");
        Tunnels = new TunnelEndMaps();
        Balancing = new BalancerMaps(options.MaxServices, options.MaxBackends, options.RingSize, options.RingRows, options.MaxConnections, options.Measure, options.MaxFlows);
    }

    /// <summary>Packets and bytes per <see cref="EdgeVerdict"/>.</summary>
    public PerCpuArrayMap<EdgeCounter> Counters { get; }

    /// <summary>Blocked single addresses.</summary>
    public HashMap<IpAddress, BlockRule> BlockedAddresses { get; }

    /// <summary>Blocked prefixes, both families in one trie.</summary>
    public LpmTrie<PrefixKey, BlockRule> BlockedPrefixes { get; }

    /// <summary>Rate state per source.</summary>
    public LruHashMap<IpAddress, ulong> Sources { get; }

    /// <summary>Services, backends and connections.</summary>
    public BalancerMaps Balancing { get; }

    /// <summary>Addresses at which outer headers are taken off.</summary>
    public TunnelEndMaps Tunnels { get; }

    /// <summary>By the number of an interface, 1 when what goes out there can be handed to its other end at once.</summary>
    public ArrayMap<uint> Peers { get; }

    /// <summary>What tracing needs; made when something is traced, and not among <see cref="All"/>.</summary>
    public TraceMaps Trace { get; } = new();

    /// <summary>What becomes of the entries of a map when an agent wants it in another size or layout.</summary>
    public MapMigration MigrationOf(BpfMap map)
    {
        ArgumentNullException.ThrowIfNull(map);

        // Blocks that find no room are put in, or reported, when the list is applied.
        return map == BlockedAddresses || map == BlockedPrefixes || map == Peers || Tunnels.All.Contains(map) ? MapMigration.Rebuilt
            : map == Sources ? MapMigration.Cache
            : map == Counters ? MapMigration.Kept
            : Balancing.MigrationOf(map);
    }

    /// <summary>All maps, for pinning and for binding to a twin.</summary>
    public IReadOnlyList<BpfMap> All => [Counters, BlockedAddresses, BlockedPrefixes, Sources, Peers, .. Tunnels.All, .. Balancing.All];
}
