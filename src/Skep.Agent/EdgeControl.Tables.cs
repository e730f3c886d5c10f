using Skep.Agent.Api;
using Skep.Bpf.Maps;

namespace Skep.Agent;

/// <summary>How full the tables are whose sizes resources may say.</summary>
internal sealed partial class EdgeControl
{
    /// <summary>The tables by their names in a TableSizes resource; none as long as nothing was enforced.</summary>
    public IReadOnlyList<TableView> Tables(MapCounts counts)
    {
        if (_maps is not { } maps || State is not { } state)
        {
            return [];
        }

        var (balancing, direct) = (maps.Balancing, maps.Balancing.Direct);
        return
        [
            Table("services", state.Balancer.Services.Length, Sizes.MaxServices, balancing.Services, balancing.Limits, balancing.SourcePools, direct.Services, direct.Vips),
            Table("backends", state.Balancer.Services.Sum(s => s.Backends.Length), Sizes.MaxBackends, balancing.Backends, balancing.BackendCounters, balancing.Signals,
                balancing.Histograms, balancing.Open, direct.Tunnels, direct.QuicServers),
            Table("ringRows", state.Balancer.RingRowsInUse, balancing.Ring.MaxEntries, balancing.Ring),
            Table("connections", state.Connections.Count(), Sizes.MaxConnections, balancing.Connections, balancing.ConnectionSets),
            Table("flows", direct.CountFlows(), Sizes.MaxFlows, direct.Flows),
            Table("blockedAddresses", counts.Of(maps.BlockedAddresses), Sizes.MaxBlockedAddresses, maps.BlockedAddresses),
            Table("blockedPrefixes", counts.Of(maps.BlockedPrefixes), Sizes.MaxBlockedPrefixes, maps.BlockedPrefixes),
            Table("sources", counts.Of(maps.Sources), Sizes.MaxSources, maps.Sources),
            .. _sockets is { } sockets ? (TableView[])[Table("sockets", counts.Of(sockets.Peers), Sizes.MaxSockets, sockets.Peers)] : [],
        ];
    }

    private static TableView Table(string name, long used, long size, params BpfMap[] maps) => new(name, used, size, maps.Sum(MapCounts.BytesOf));
}
