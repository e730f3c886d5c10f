namespace Skep.Bpf.Twin;

/// <summary>
/// The twin's clock for the user half of a capability: timestamps are the monotonic clock programs see, in nanoseconds;
/// wall time is that clock counted from 1970 UTC.
/// </summary>
internal sealed class TwinTimeProvider(TwinEnvironment environment) : TimeProvider
{
    /// <inheritdoc/>
    public override long TimestampFrequency => 1_000_000_000;

    /// <inheritdoc/>
    public override long GetTimestamp() => (long)environment.KtimeNow;

    /// <inheritdoc/>
    public override DateTimeOffset GetUtcNow() => DateTimeOffset.UnixEpoch.AddTicks((long)(environment.KtimeNow / TimeSpan.NanosecondsPerTick));
}
