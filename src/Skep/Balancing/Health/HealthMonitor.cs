using System.Net;
using Skep.Packets;

namespace Skep.Balancing.Health;

/// <summary>
/// Checks backends again and again, each in its own rhythm, no more than so many at once. Backends that several services share are checked once.
/// Safe for concurrent use.
/// </summary>
public sealed class HealthMonitor : IDisposable
{
    private const double Jitter = 0.1;

    private readonly Lock _gate = new();
    private readonly Dictionary<(CheckTarget Target, HealthCheck Check), Watched> _watches = [];
    private readonly TunnelChecks _tunnels = new();
    private readonly SemaphoreSlim _slots;
    private readonly TimeProvider _time;
    private readonly Random _random;

    /// <summary>A monitor without anything to check yet.</summary>
    /// <param name="time">The clock.</param>
    /// <param name="random">Spreads the checks.</param>
    /// <param name="atOnce">Checks at once, at most.</param>
    public HealthMonitor(TimeProvider time, Random random, int atOnce = 64) => (_time, _random, _slots) = (time, random, new SemaphoreSlim(atOnce));

    /// <summary>A backend came to life or died. Raised on any thread, outside of locks.</summary>
    public event Action? Changed;

    /// <summary>Makes these all that is checked; what was checked before goes on undisturbed.</summary>
    public void Watch(IEnumerable<(CheckTarget Target, HealthCheck Check)> wanted)
    {
        var keep = wanted.ToHashSet();
        lock (_gate)
        {
            foreach (var gone in _watches.Keys.Where(k => !keep.Contains(k)).ToArray())
            {
                _watches.Remove(gone, out var watch);
                watch!.Stop.Cancel();
            }

            foreach (var key in keep.Where(k => !_watches.ContainsKey(k)))
            {
                var watch = new Watched();
                _watches.Add(key, watch);
                _ = Task.Run(() => RunAsync(key.Target, key.Check, watch));
            }
        }
    }

    /// <summary>What is known of a backend.</summary>
    public HealthState StateOf(CheckTarget target, HealthCheck check)
    {
        lock (_gate)
        {
            return _watches.TryGetValue((target, check), out var watch) ? watch.State : HealthState.Unknown;
        }
    }

    /// <summary>Ends all checks.</summary>
    public void Dispose()
    {
        Watch([]);
        _tunnels.Dispose();
    }

    /// <summary>Tells it the ways to the backends of direct return.</summary>
    public void SetNextHops(IReadOnlyDictionary<IpAddress, BackendPath> hops) => _tunnels.Hops = hops;

    private async Task<ProbeResult> ProbeAsync(HealthCheck check, IPEndPoint backend, TunnelPath? path, CancellationToken stop)
    {
        if (path is not null)
        {
            return await _tunnels.RunAsync(check, backend, path, _time, stop);
        }

        using var way = CheckWay.ByAddress(backend, check.Source);
        return await HealthProbe.RunAsync(check, way, _time, stop);
    }

    private async Task RunAsync(CheckTarget target, HealthCheck check, Watched watch)
    {
        var stop = watch.Stop.Token;
        var asked = check.Port is { } port ? new IPEndPoint(target.Backend.Address, port) : target.Backend;
        try
        {
            while (true)
            {
                await _slots.WaitAsync(stop);
                ProbeResult result;
                try
                {
                    result = await ProbeAsync(check, asked, target.Path, stop);
                }
                finally
                {
                    _slots.Release();
                }

                var before = watch.State;
                watch.State = before.After(result, check);
                if (before.IsAlive != watch.State.IsAlive)
                {
                    Changed?.Invoke();
                }

                await Task.Delay(check.Interval * Spread(), _time, stop);
            }
        }
        catch (OperationCanceledException)
        {
            // Nobody wants to know any more.
        }
    }

    private double Spread()
    {
        lock (_gate)
        {
            return 1 + (Jitter * ((2 * _random.NextDouble()) - 1));
        }
    }

    private sealed class Watched
    {
        private volatile HealthState _state = HealthState.Unknown;

        // Never disposed of: it has nothing to give back, and what it cancels may end within the call that cancels.
        public CancellationTokenSource Stop { get; } = new();

        public HealthState State
        {
            get => _state;
            set => _state = value;
        }
    }
}
