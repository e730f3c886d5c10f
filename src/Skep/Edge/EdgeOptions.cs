using Skep.Filtering;

namespace Skep.Edge;

/// <summary>What the edge program does and how large its tables are. Sizes are fixed when the maps are made, the rest when a program is.</summary>
public sealed record EdgeOptions
{
    /// <summary>Whether sources are compared with the block list.</summary>
    public bool BlockAddresses { get; init; } = true;

    /// <summary>Whether sources are compared with the blocked prefixes too; costs a trie walk per packet.</summary>
    public bool BlockPrefixes { get; init; } = true;

    /// <summary>Limit of every source, or null.</summary>
    public SourceRate? RateLimit { get; init; }

    /// <summary>Whether services are balanced.</summary>
    public bool Balance { get; init; } = true;

    /// <summary>What happens to truncated and contradictory packets. <see cref="PacketPolicy.Drop"/> also checks lengths of IP and transport headers.</summary>
    public PacketPolicy Malformed { get; init; } = PacketPolicy.Pass;

    /// <summary>What happens to later fragments for a service whose first fragment was not seen.</summary>
    public PacketPolicy StrayFragments { get; init; } = PacketPolicy.Drop;

    /// <summary>Services, one per address, port and protocol.</summary>
    public uint MaxServices { get; init; } = 64;

    /// <summary>Backends of all services together, at most 65535.</summary>
    public uint MaxBackends { get; init; } = 4096;

    /// <summary>Slots of a service's ring, a prime. 65537 gives shares within 0.1 % for hundreds of backends and costs 262 kB per service.</summary>
    public int RingSize { get; init; } = 65537;

    /// <summary>Balanced connections that are remembered; each takes two entries of the table.</summary>
    public uint MaxConnections { get; init; } = 131072;

    /// <summary>Blocked single addresses.</summary>
    public uint MaxBlockedAddresses { get; init; } = 65536;

    /// <summary>Blocked prefixes.</summary>
    public uint MaxBlockedPrefixes { get; init; } = 16384;

    /// <summary>Sources whose rate is remembered.</summary>
    public uint MaxSources { get; init; } = 65536;
}
