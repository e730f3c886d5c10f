namespace Skep.Bpf.Twin;

/// <summary>How a twin is set up.</summary>
public sealed record TwinOptions
{
    /// <summary>CPUs of the twin, so values per entry of per-CPU maps; at least 1.</summary>
    public int Cpus { get; init; } = 4;

    /// <summary>Seed of <c>bpf_get_prandom_u32</c>: the same seed gives the same run.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>Where the monotonic clock starts, in nanoseconds.</summary>
    public ulong Start { get; init; } = TwinEnvironment.DefaultStart;
}
