using Skep.Bpf.Twin;

namespace Skep.Engine;

/// <summary>The clock of a twin as a time provider, for user halves that compare their time with that of programs.</summary>
public sealed class TwinTime(TwinEngine twin) : TimeProvider
{
    /// <inheritdoc/>
    public override long TimestampFrequency => 1_000_000_000;

    /// <inheritdoc/>
    public override long GetTimestamp() => (long)twin.Environment.KtimeNow;
}
