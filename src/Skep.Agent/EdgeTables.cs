using Skep.Balancing.Sockets;
using Skep.Bpf.Maps;
using Skep.Edge;
using Skep.Engine;

namespace Skep.Agent;

/// <summary>Tables that a plan needs and that are not there, or not in its sizes.</summary>
/// <param name="Edge">Those of the edge; null when they are there.</param>
/// <param name="Sockets">Those of balancing at the socket; null when they are there, or not needed.</param>
internal sealed record EdgeTables(EdgeMaps? Edge, SocketMaps? Sockets)
{
    /// <summary>Their maps.</summary>
    public IReadOnlyList<BpfMap> All => [.. Edge?.All ?? [], .. Sockets?.All ?? []];

    /// <summary>What becomes of the entries of those that they take the place of.</summary>
    public MapMigration MigrationOf(BpfMap map) => Sockets is not null && Sockets.All.Contains(map) ? Sockets.MigrationOf(map) : Edge!.MigrationOf(map);
}
