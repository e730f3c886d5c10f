namespace Skep.Balancing;

/// <summary>Limits of services, in mapped memory.</summary>
public sealed partial class Balancer
{
    /// <summary>New connections and packets of a service in effect that its limits refused since it was added.</summary>
    public (ulong Connections, ulong Packets) RefusedOf(uint serviceId)
    {
        ref readonly var limit = ref _maps.Limits.Entries[(int)serviceId];
        return (limit.Connections.Refused, limit.Packets.Refused);
    }

    // What is left in the buckets stays: a limit that changes does not begin anew.
    private void WriteLimits(ServiceModel service, uint serviceId)
    {
        ref var limit = ref _maps.Limits.Entries[(int)serviceId];
        Write(ref limit.Connections, service.ConnectionRate);
        Write(ref limit.Packets, service.PacketRate);
    }

    private void RemoveLimits(uint serviceId) => _maps.Limits.Entries[(int)serviceId] = default;

    private static void Write(ref ServiceBucket bucket, ServiceRate? rate)
    {
        var (interval, tolerance) = (rate?.Interval ?? 0, rate?.Tolerance ?? 0);
        if (bucket.Interval != interval || bucket.Tolerance != tolerance)
        {
            bucket.Tolerance = tolerance;
            bucket.Interval = interval;
        }
    }
}
