using Skep.Balancing;

namespace Skep.Tests.Edge;

/// <summary>The records of connections.</summary>
internal sealed class TrackedConnections(BalancerMaps maps)
{
    private readonly Tracker _tracker = new(maps, translates: true);

    public IReadOnlyList<Connection> All => [.. _tracker.Numbers().Select(n => _tracker.At(n))];

    /// <summary>Forgets the one record of a kind, and not the other that belongs to it.</summary>
    public void Lose(ConnectionKind kind)
    {
        var number = _tracker.Numbers().Single(n => _tracker.At(n).Kind == kind);
        _tracker.At(number).Link = number;
        Assert.Equal(1, _tracker.Release(number));
    }

    public void Clear() => Assert.All(_tracker.Numbers().ToArray(), n => _tracker.Release(n));
}
