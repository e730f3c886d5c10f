using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;

namespace Skep.Balancing;

/// <summary>Kernel half: counts a time in a histogram of <see cref="BackendHistograms"/>.</summary>
internal sealed class TimeHistogram(BalancerMaps maps)
{
    private readonly ArrayMap<ulong> _histograms = maps.Histograms;

    /// <summary>Adds a time. Shared by the CPUs: a sample belongs to a connection, not to a packet.</summary>
    /// <param name="first">Place of the histogram's first bucket.</param>
    /// <param name="ticks">The time in ticks of <see cref="BackendSignals.TickNanoseconds"/>.</param>
    internal void Count(uint first, uint ticks)
    {
        var bucket = 0u;
        if (ticks >= 1u << 16)
        {
            bucket = 16;
            ticks >>= 16;
        }

        if (ticks >= 1u << 8)
        {
            bucket += 8;
            ticks >>= 8;
        }

        if (ticks >= 1u << 4)
        {
            bucket += 4;
            ticks >>= 4;
        }

        if (ticks >= 1u << 2)
        {
            bucket += 2;
            ticks >>= 2;
        }

        // Now 0 to 3: none, one or two bits.
        bucket += ticks >= 2 ? 2 : ticks;
        ref var count = ref _histograms.Find(first + (bucket < BackendHistograms.Buckets ? bucket : BackendHistograms.Buckets - 1));
        if (!Unsafe.IsNullRef(ref count))
        {
            Interlocked.Increment(ref count);
        }
    }
}
