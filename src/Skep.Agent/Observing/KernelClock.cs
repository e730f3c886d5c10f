namespace Skep.Agent.Observing;

/// <summary>Turns the time of programs into that of the wall.</summary>
internal sealed class KernelClock(TimeProvider clock, TimeProvider wall)
{
    /// <summary>Programs' nanoseconds now.</summary>
    public ulong Now => (ulong)(clock.GetTimestamp() * (1e9 / clock.TimestampFrequency));

    /// <summary>The moment a program saw something. The wall may be set, the monotonic clock not: so it is asked anew every time.</summary>
    public DateTimeOffset ToWall(ulong nanoseconds) => wall.GetUtcNow() - TimeSpan.FromTicks(((long)Now - (long)nanoseconds) / TimeSpan.NanosecondsPerTick);
}
