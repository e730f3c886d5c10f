using Skep.Balancing;
using Skep.Packets;

namespace Skep.Engine;

/// <summary>Finds the ways to backends.</summary>
public interface INextHops
{
    /// <summary>The ways as they are now; backends without a route are absent. May be called every second.</summary>
    IReadOnlyDictionary<IpAddress, BackendPath> Find(IReadOnlyCollection<IpAddress> backends);
}

/// <summary>Beside a capture there is no network: every backend is behind the interface the packets come in by.</summary>
public sealed class CaptureNextHops : INextHops
{
    /// <inheritdoc/>
    public IReadOnlyDictionary<IpAddress, BackendPath> Find(IReadOnlyCollection<IpAddress> backends)
    {
        ArgumentNullException.ThrowIfNull(backends);
        return backends.ToDictionary(b => b, b => new BackendPath(IpAddress.Parse(b.IsIPv4 ? "192.0.2.1" : "2001:db8::1"), 1500, 1));
    }
}
