using System.Runtime.InteropServices;

namespace Skep.Balancing;

/// <summary>A limit of a service.</summary>
/// <param name="PerSecond">Sustained rate, at least 1.</param>
/// <param name="Burst">How many may come at once after a pause, at least 1.</param>
public sealed record ServiceRate(uint PerSecond, uint Burst)
{
    internal ulong Interval => Math.Max(1, 1_000_000_000UL / PerSecond);

    internal ulong Tolerance => Interval * (Burst - 1);

    /// <summary>Whether ticks of the kernel are too far apart to measure it.</summary>
    internal bool NeedsFineClock(ulong tick) => Tolerance < 4 * tick;
}

/// <summary>
/// Limits of a service and what is left of them, under its id; one line of the processor's cache, because all CPUs share it. Times in nanoseconds of the program's clock.
/// <code>
///  0 connections: interval:8, 0 for no limit   8 tolerance:8   16 full at:8   24 refused:8
/// 32 packets: interval:8, 0 for no limit      40 tolerance:8   48 full at:8   56 refused:8
/// </code>
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public struct ServiceLimit
{
    /// <summary>New connections.</summary>
    public ServiceBucket Connections;

    /// <summary>Packets of clients.</summary>
    public ServiceBucket Packets;
}

/// <summary>One limit of a service. Layout: interval 8, tolerance 8, full at 8, refused 8.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct ServiceBucket
{
    /// <summary>Time in which a token comes; 0 for no limit.</summary>
    public ulong Interval;

    /// <summary>Time in which all tokens but one come.</summary>
    public ulong Tolerance;

    /// <summary>When the bucket will be full.</summary>
    public ulong FullAt;

    /// <summary>What found no token.</summary>
    public ulong Refused;
}

/// <summary>Limits that a program looks at; all of it is constant in its code.</summary>
/// <param name="Connections">Whether a service has a limit on new connections.</param>
/// <param name="Packets">Whether a service has a limit on packets.</param>
/// <param name="FineClock">Whether ticks of the kernel are too coarse a clock for one of them.</param>
public sealed record ServiceLimits(bool Connections, bool Packets, bool FineClock)
{
    /// <summary>What the limits of services need; null when there are none.</summary>
    /// <param name="services">The services.</param>
    /// <param name="tick">Nanoseconds of the kernel's tick.</param>
    public static ServiceLimits? For(IEnumerable<ServiceModel> services, ulong tick)
    {
        ArgumentNullException.ThrowIfNull(services);
        var (connections, packets, fine) = (false, false, false);
        foreach (var service in services)
        {
            connections |= service.ConnectionRate is not null;
            packets |= service.PacketRate is not null;
            fine |= service.ConnectionRate?.NeedsFineClock(tick) == true || service.PacketRate?.NeedsFineClock(tick) == true;
        }

        return connections || packets ? new(connections, packets, fine) : null;
    }
}
