using System.Collections.Immutable;
using Skep.Balancing;
using Skep.Filtering;

namespace Skep.Edge;

/// <summary>User half of the edge over bound maps: one object for the agent to talk to.</summary>
public sealed class EdgeState
{
    private readonly EdgeMaps _maps;

    /// <summary>Takes over what the maps contain.</summary>
    public EdgeState(EdgeMaps maps, TimeProvider time, ConnectionTimeouts? timeouts = null)
    {
        ArgumentNullException.ThrowIfNull(maps);
        _maps = maps;
        Balancer = new Balancer(maps.Balancing);
        Connections = new ConnectionTable(maps.Balancing, timeouts);
        Explainer = new Explainer(Balancer, Connections);
        Tunnels = new TunnelEnds(maps.Tunnels);
        BlockList = new BlockList(maps.BlockedAddresses, maps.BlockedPrefixes, time);
    }

    /// <summary>Services and backends.</summary>
    public Balancer Balancer { get; }

    /// <summary>Says where a connection goes, and why.</summary>
    public Explainer Explainer { get; }

    /// <summary>Balanced connections.</summary>
    public ConnectionTable Connections { get; }

    /// <summary>Addresses at which outer headers are taken off.</summary>
    public TunnelEnds Tunnels { get; }

    /// <summary>Secret of the tables of flows and connections, the same as long as they live; drawn when they are new.</summary>
    public ulong FlowSeed => _maps.Balancing.Direct.DrawSeed();

    /// <summary>Blocked addresses and prefixes.</summary>
    public BlockList BlockList { get; }

    /// <summary>Packets and bytes per verdict over all CPUs since the maps were made.</summary>
    public ImmutableSortedDictionary<EdgeVerdict, EdgeCounter> ReadCounters()
    {
        var counters = ImmutableSortedDictionary.CreateBuilder<EdgeVerdict, EdgeCounter>();
        foreach (var verdict in Enum.GetValues<EdgeVerdict>())
        {
            _maps.Counters.TryGet((uint)verdict, out var perCpu);
            var sum = default(EdgeCounter);
            foreach (var counter in perCpu)
            {
                sum.Packets += counter.Packets;
                sum.Bytes += counter.Bytes;
            }

            counters[verdict] = sum;
        }

        return counters.ToImmutable();
    }
}
