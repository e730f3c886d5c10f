using System.Numerics;

namespace Skep.Balancing;

/// <summary>
/// How many of the connections with direct return are sampled: all while there is little traffic, a power of two fewer when there is much, so that measuring costs the same
/// at any rate.
/// </summary>
public sealed class SampleRate
{
    /// <summary>Packets of sampled connections a second, at most, as far as the last look tells.</summary>
    public const double MostPackets = 20_000;

    private ulong _packets;
    private bool _hasLooked;

    /// <summary>Bits of a flow's hash that have to be 0; one less than a power of two.</summary>
    /// <param name="packets">Packets of all services with direct return so far.</param>
    /// <param name="elapsed">Time since the last look.</param>
    public uint Next(ulong packets, TimeSpan elapsed)
    {
        // What was counted before the first look may be of days.
        var rate = _hasLooked && packets > _packets ? (packets - _packets) / Math.Max(1e-3, elapsed.TotalSeconds) : 0;
        (_packets, _hasLooked) = (packets, true);
        return BitOperations.RoundUpToPowerOf2((uint)Math.Clamp(Math.Ceiling(rate / MostPackets), 1, 1 << 16)) - 1;
    }
}
