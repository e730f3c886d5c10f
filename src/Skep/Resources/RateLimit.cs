namespace Skep.Resources;

/// <summary>A limit on the packets of every source address; what exceeds it is dropped.</summary>
public sealed record RateLimit : Resource
{
    /// <inheritdoc/>
    public override string Kind => "RateLimit";

    /// <summary>Sustained packets per second and source.</summary>
    public required uint PacketsPerSecond { get; init; }

    /// <summary>Packets a source may send at once after a pause.</summary>
    public required uint Burst { get; init; }
}
