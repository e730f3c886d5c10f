using Skep.Balancing;
using Skep.Bpf.Maps;
using Skep.Edge;
using Skep.Packets;

namespace Skep.Benchmarks.Edge;

/// <summary>The maps of edge.c where its design is another one: connections in the kernel's own LRU hash table, an entry for each direction.</summary>
internal static class BaselineMaps
{
    /// <summary>All maps by name: those of the edge, and the baseline's own in the places of ours.</summary>
    internal static Dictionary<string, BpfMap> Over(IEnumerable<BpfMap> maps, EdgeOptions options)
    {
        var all = maps.ToDictionary(m => m.Name);
        all["edge_conns"] = new LruHashMap<ConnectionKey, Entry>(2 * options.MaxConnections, "edge_conns");
        all["edge_fragments"] = new LruHashMap<FragmentKey, Route>(4096, "edge_fragments");
        return all;
    }

    /// <summary>As large as <c>struct conn</c> of edge.c: 40 bytes.</summary>
    internal record struct Entry(IpAddress Address, ulong PortAndMore, ulong BackendAndTime, ulong PendingAndPhase);

    /// <summary>As large as <c>struct fragment_route</c> of edge.c: 24 bytes.</summary>
    internal record struct Route(IpAddress Address, ulong DeltaAndDirection);
}
