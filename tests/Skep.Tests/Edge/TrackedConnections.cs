using Skep.Balancing;

namespace Skep.Tests.Edge;

/// <summary>The entries of connections, in whichever table they are.</summary>
internal sealed class TrackedConnections(BalancerMaps maps)
{
    public IEnumerable<ConnectionKey> Keys => [.. maps.Beginning.Keys, .. maps.Established.Keys];

    public bool TryGet(in ConnectionKey key, out Connection connection) => maps.TryGetConnection(in key, out connection);

    public void Remove(in ConnectionKey key) => Assert.True(maps.RemoveConnection(in key));

    public void Clear() => maps.RemoveConnections([.. Keys]);
}
