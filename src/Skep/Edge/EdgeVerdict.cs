namespace Skep.Edge;

/// <summary>What the edge program did with a packet, and why. The number is the index of the counter.</summary>
public enum EdgeVerdict : uint
{
    /// <summary>None of the edge's business: on to the network stack.</summary>
    Passed,
    /// <summary>Neither IPv4 nor IPv6: passed.</summary>
    NotIp,
    /// <summary>Truncated or contradictory: passed or dropped as <see cref="EdgeOptions.Malformed"/> says.</summary>
    Malformed,
    /// <summary>The source is on the block list: dropped.</summary>
    Blocked,
    /// <summary>The source exceeded its rate: dropped.</summary>
    RateLimited,
    /// <summary>Sent on to a backend.</summary>
    Forwarded,
    /// <summary>A backend's answer, sent on to the client.</summary>
    Replied,
    /// <summary>The service has no backend that takes connections: dropped.</summary>
    NoBackend,
    /// <summary>The connection table took no entry: dropped.</summary>
    TableFull,
    /// <summary>The client uses the same port towards every backend that was tried, through other services: dropped.</summary>
    PortCollision,
    /// <summary>A later fragment, sent the way of its first one.</summary>
    FragmentForwarded,
    /// <summary>A later fragment for a service, whose first one was not seen: dropped or passed as <see cref="EdgeOptions.StrayFragments"/> says.</summary>
    StrayFragment,
    /// <summary>An ICMP error about a balanced connection, sent to the end it concerns.</summary>
    IcmpForwarded,
    /// <summary>Too large for the path to its backend with the outer headers: answered with the size that fits.</summary>
    TooBig,
    /// <summary>The source is not among those that may use the service: dropped.</summary>
    SourceRefused,
    /// <summary>There was no room for the outer headers, or no way to the backend on its link is known: dropped.</summary>
    Undeliverable,
    /// <summary>The outer headers were taken off, and the packet goes on to the network stack.</summary>
    Decapsulated,
    /// <summary>Outer headers from elsewhere than a balancer, or around anything but a packet for a virtual address: dropped.</summary>
    TunnelRefused,
    /// <summary>Sent to the backend that its QUIC connection id names.</summary>
    QuicForwarded,
    /// <summary>No free port was found at the addresses that replace the client's: dropped.</summary>
    PortsExhausted,
    /// <summary>Of a connection that is not known: sent to the owner of its slot in the ring, with the former owner as a second hop.</summary>
    ForwardedTwoHops,
    /// <summary>Sent on by a backend that has no socket for it, to the second hop that came with it.</summary>
    SentOn,
    /// <summary>The service has more packets or new connections than its limit allows: dropped.</summary>
    ServiceLimited,
    /// <summary>Of TCP, and of no known connection while tables change their sizes: dropped, for its sender to repeat.</summary>
    Held,
}

/// <summary>Packets and bytes of one verdict on one CPU. Layout: packets 8, bytes 8.</summary>
public struct EdgeCounter
{
    /// <summary>Packets.</summary>
    public ulong Packets;

    /// <summary>Bytes, Ethernet headers included.</summary>
    public ulong Bytes;
}

/// <summary>What happens to packets the edge cannot make sense of.</summary>
public enum PacketPolicy : byte
{
    /// <summary>They go on to the network stack, which judges them itself.</summary>
    Pass,
    /// <summary>They are dropped.</summary>
    Drop,
}
