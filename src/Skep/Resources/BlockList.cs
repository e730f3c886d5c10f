using System.Collections.Immutable;
using System.Net;

namespace Skep.Resources;

/// <summary>Addresses and prefixes whose packets are dropped before the network stack sees them.</summary>
public sealed record BlockList : Resource
{
    /// <inheritdoc/>
    public override string Kind => "BlockList";

    /// <summary>What is blocked.</summary>
    public required ImmutableArray<BlockEntry> Entries { get; init; }

    /// <summary>Apply it even if it covers this host's own addresses or the operator's connection.</summary>
    public bool Force { get; init; }
}

/// <summary>One blocked source.</summary>
/// <param name="Prefix">Source addresses.</param>
/// <param name="Reason">Why, for people; may be empty.</param>
/// <param name="Until">End of the block; null for no end.</param>
/// <param name="Source">Where it was declared.</param>
public sealed record BlockEntry(IPNetwork Prefix, string Reason, DateTimeOffset? Until, ResourceSource Source);
