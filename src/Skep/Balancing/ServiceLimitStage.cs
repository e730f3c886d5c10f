using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Filtering;

namespace Skep.Balancing;

/// <summary>
/// Kernel half: limits of services on packets and new connections. One bucket for all CPUs, changed by compare and exchange: a limit is one number however many queues there are.
/// </summary>
public sealed class ServiceLimitStage
{
    private readonly ArrayMap<ServiceLimit> _limits;
    private readonly ArrayMap<BackendEntry> _backends;
    private readonly bool _packets;
    private readonly bool _connections;
    private readonly bool _fineClock;
    private readonly ulong _tick = KernelTick.Nanoseconds;

    // CPUs that come in between took tokens themselves: after that many the packet is let through.
    private const int MostAttempts = 4;

    /// <summary>A stage over <paramref name="maps"/> that looks at <paramref name="limits"/>.</summary>
    public ServiceLimitStage(BalancerMaps maps, ServiceLimits limits)
    {
        ArgumentNullException.ThrowIfNull(maps);
        ArgumentNullException.ThrowIfNull(limits);
        (_limits, _backends) = (maps.Limits, maps.Backends);
        (_packets, _connections, _fineClock) = (limits.Packets, limits.Connections, limits.FineClock);
    }

    /// <summary>Whether packets of clients keep to the limit of a service.</summary>
    internal bool AdmitsPackets(uint service, uint packets) => !_packets || TakePackets(service, packets) != 0;

    /// <summary>Whether packets of clients to a backend keep to the limit of its service.</summary>
    internal bool AdmitsPacketsTo(uint backend, uint packets)
    {
        if (!_packets)
        {
            return true;
        }

        ref var entry = ref _backends.Find(backend);
        return Unsafe.IsNullRef(ref entry) || TakePackets(entry.Service, packets) != 0;
    }

    /// <summary>Whether a new connection keeps to the limit of a service.</summary>
    internal bool AdmitsConnection(uint service) => !_connections || TakeConnection(service) != 0;

    [GlobalFunction]
    private int TakePackets(uint service, uint packets)
    {
        ref var limit = ref _limits.Find(service);
        return Unsafe.IsNullRef(ref limit) || Take(ref limit.Packets, packets) ? 1 : 0;
    }

    [GlobalFunction]
    private int TakeConnection(uint service)
    {
        ref var limit = ref _limits.Find(service);
        return Unsafe.IsNullRef(ref limit) || Take(ref limit.Connections, 1) ? 1 : 0;
    }

    private bool Take(ref ServiceBucket bucket, uint packets)
    {
        var interval = bucket.Interval;
        if (interval == 0)
        {
            return true;
        }

        var tolerance = bucket.Tolerance;
        var now = _fineClock ? Helper.KtimeGetNs() : Helper.Jiffies64() * _tick;
        var full = bucket.FullAt;
        for (var attempt = 0; attempt < MostAttempts; attempt++)
        {
            var admitted = TokenBucket.TryTake(full, now, interval, tolerance, packets, out var after);
            var seen = after == full ? full : Interlocked.CompareExchange(ref bucket.FullAt, after, full);
            if (seen == full)
            {
                if (!admitted)
                {
                    Interlocked.Add(ref bucket.Refused, packets);
                }

                return admitted;
            }

            full = seen;
        }

        return true;
    }
}
