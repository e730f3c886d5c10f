using Skep.Balancing;
using Skep.Packets;

namespace Skep.Engine;

/// <summary>Finds the ways to backends, and tells when they change.</summary>
public interface INextHops : IDisposable
{
    /// <summary>The ways as they are now; backends without a route are absent.</summary>
    /// <param name="backends">The backends; their ways are followed from now on.</param>
    /// <param name="patience">How long to wait for next hops that have just been asked for their addresses.</param>
    IReadOnlyDictionary<IpAddress, BackendPath> Find(IReadOnlyCollection<IpAddress> backends, TimeSpan patience = default);

    /// <summary>Ends when a way to a backend of the last <see cref="Find"/> may have changed since.</summary>
    Task WaitForChangeAsync(CancellationToken cancellation);

    /// <summary>What is known is read anew the next time, whatever was told.</summary>
    void Forget();
}

/// <summary>Beside a capture there is no network: every backend is behind the interface the packets come in by.</summary>
public sealed class CaptureNextHops : INextHops
{
    /// <inheritdoc/>
    public IReadOnlyDictionary<IpAddress, BackendPath> Find(IReadOnlyCollection<IpAddress> backends, TimeSpan patience = default)
    {
        ArgumentNullException.ThrowIfNull(backends);
        return backends.ToDictionary(b => b, b => new BackendPath(IpAddress.Parse(b.IsIPv4 ? "192.0.2.1" : "2001:db8::1"), 1500, 1));
    }

    /// <inheritdoc/>
    public Task WaitForChangeAsync(CancellationToken cancellation) => Task.Delay(Timeout.Infinite, cancellation);

    /// <inheritdoc/>
    public void Forget()
    {
        // Nothing is known but what is given.
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        // Nothing is held.
    }
}
