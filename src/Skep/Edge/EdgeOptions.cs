using Skep.Balancing;
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

    /// <summary>Whether services are balanced by rewriting addresses.</summary>
    public bool Balance { get; init; } = true;

    /// <summary>Whether backends are measured by the packets of their connections; costs four readings of the clock a connection, and 600 bytes a backend.</summary>
    public bool Measure { get; init; } = true;

    /// <summary>Whether there are connections whose client's address is replaced by an own one.</summary>
    public bool TranslateSources { get; init; }

    /// <summary>What services that rewrite ask for beside connections, over all of them: affinity by client, source ranges, ranges of ports.</summary>
    public ServiceFlags Features { get; init; }

    /// <summary>Secret of the flow table's hash, as in <see cref="DirectOptions.Seed"/>.</summary>
    public ulong FlowSeed { get; init; } = new DirectOptions().Seed;

    /// <summary>Limits of services, or null when they have none.</summary>
    public ServiceLimits? Limits { get; init; }

    /// <summary>What services with direct return need, or null when there are none.</summary>
    public DirectOptions? Direct { get; init; }

    /// <summary>Whether outer headers are taken off packets for this host's virtual addresses.</summary>
    public bool Decapsulate { get; init; }

    /// <summary>Whether packets that have no socket here and came with a second hop go on to it.</summary>
    public bool SendOn { get; init; }

    /// <summary>
    /// At traffic control: whether balanced packets are sent on by the routing table at once, past the network stack and its firewall rules (kernel 5.10).
    /// </summary>
    public bool BypassStack { get; init; }

    /// <summary>Whether the packets of one connection are written down, see <see cref="Tracing.TraceFilter"/>; every packet pays for it.</summary>
    public bool Trace { get; init; }

    /// <summary>What happens to truncated and contradictory packets. <see cref="PacketPolicy.Drop"/> also checks lengths of IP and transport headers.</summary>
    public PacketPolicy Malformed { get; init; } = PacketPolicy.Pass;

    /// <summary>What happens to later fragments for a service whose first fragment was not seen.</summary>
    public PacketPolicy StrayFragments { get; init; } = PacketPolicy.Drop;

    /// <summary>Services, one per address, port and protocol.</summary>
    public uint MaxServices { get; init; } = 1024;

    /// <summary>Backends of all services together, at most 16,777,216. Above 65,535 the slots of rings take four bytes instead of two.</summary>
    public uint MaxBackends { get; init; } = 16384;

    /// <summary>
    /// Slots of the largest ring, best a power of two: rings of services with few backends have half of them, a quarter and so on. A thousand slots
    /// for each backend come within 0.1 % of its target.
    /// </summary>
    public int RingSize { get; init; } = 65536;

    /// <summary>Rows of eight bytes that all rings share. When they run short, rings get smaller: down to eight slots for each backend.</summary>
    public uint RingRows { get; init; } = 2_097_152;

    /// <summary>
    /// Connections by rewriting that are remembered, at 98 bytes each: a record of 80 and a share of a word of 8 that seven of them have, and a fifth of both more, so that
    /// nearly all find room. Those with source translation take two. Kernels up to 5.15 have room for the words of three million.
    /// </summary>
    public uint MaxConnections { get; init; } = 131072;

    /// <summary>Flows with direct return that are remembered; 8 bytes each, rounded up to a power of two. More than fits the caches of the processor makes every packet slower.</summary>
    public uint MaxFlows { get; init; } = 262144;

    /// <summary>Blocked single addresses.</summary>
    public uint MaxBlockedAddresses { get; init; } = 65536;

    /// <summary>Blocked prefixes.</summary>
    public uint MaxBlockedPrefixes { get; init; } = 16384;

    /// <summary>Sources whose rate is remembered.</summary>
    public uint MaxSources { get; init; } = 65536;

    /// <summary>Sockets of this host that were given a backend, and what they were given; 96 bytes each. A TCP socket takes one, a UDP socket two for each service.</summary>
    public uint MaxSockets { get; init; } = 65536;
}
