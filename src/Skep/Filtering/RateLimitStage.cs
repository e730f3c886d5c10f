using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Filtering;

/// <summary>A limit on the packets of every source.</summary>
/// <param name="PacketsPerSecond">Sustained rate, at least 1.</param>
/// <param name="Burst">Packets that may come at once after a pause, at least 1.</param>
public sealed record SourceRate(uint PacketsPerSecond, uint Burst);

/// <summary>
/// Kernel half of the rate limit: a <see cref="TokenBucket"/> per source. CPUs that see the same source at the same instant may let a
/// packet more through; receive queues keep a flow on one CPU.
/// </summary>
public sealed class RateLimitStage
{
    // At this tick (CONFIG_HZ=100) and below, a limit whose burst spans several ticks is as exact with the cheap clock.
    private const ulong LongestTick = 10_000_000;

    private readonly LruHashMap<IpAddress, ulong> _sources;
    private readonly ulong _interval;
    private readonly ulong _tolerance;
    private readonly bool _coarse;

    /// <summary>A limit of <paramref name="rate"/> with its state in <paramref name="sources"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Rate or burst are zero.</exception>
    public RateLimitStage(LruHashMap<IpAddress, ulong> sources, SourceRate rate)
    {
        ArgumentNullException.ThrowIfNull(rate);
        ArgumentOutOfRangeException.ThrowIfZero(rate.PacketsPerSecond);
        ArgumentOutOfRangeException.ThrowIfZero(rate.Burst);
        _sources = sources;
        _interval = Math.Max(1, 1_000_000_000UL / rate.PacketsPerSecond);
        _tolerance = _interval * (rate.Burst - 1);
        _coarse = _tolerance >= 4 * LongestTick;
    }

    /// <summary>
    /// Whether a packet from <paramref name="source"/> keeps to the limit; takes a token if so. A super-packet is admitted by its first packet and takes a
    /// token for each, at most all there are.
    /// </summary>
    /// <param name="source">Sender.</param>
    /// <param name="packets">Packets it was on the wire.</param>
    public bool Admits(in IpAddress source, uint packets)
    {
        var now = _coarse ? Helper.KtimeGetCoarseNs() : Helper.KtimeGetNs();
        ref var full = ref _sources.Find(in source);
        if (Unsafe.IsNullRef(ref full))
        {
            // A source that finds no room is not held responsible for it.
            TokenBucket.TryTake(0, now, _interval, _tolerance, packets, out var first);
            _sources.Update(in source, in first, UpdateMode.Any);
            return true;
        }

        var admitted = TokenBucket.TryTake(full, now, _interval, _tolerance, packets, out var after);
        if (after != full)
        {
            full = after;
        }

        return admitted;
    }
}
