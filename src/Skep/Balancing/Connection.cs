using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// Addresses and ports of a packet. Layout: source 16, destination 16, source port 2 and destination port 2 as one 32-bit load sees them, protocol 4.
/// </summary>
public struct ConnectionKey
{
    /// <summary>Sender.</summary>
    public IpAddress Source;

    /// <summary>Receiver.</summary>
    public IpAddress Destination;

    /// <summary>Source port in the lower, destination port in the upper half, both in network order.</summary>
    public uint RawPorts;

    /// <summary>Protocol number.</summary>
    public uint Protocol;

    /// <summary>Port of the sender.</summary>
    public readonly NetworkUInt16 SourcePort => NetworkUInt16.FromRaw((ushort)RawPorts);

    /// <summary>Port of the receiver.</summary>
    public readonly NetworkUInt16 DestinationPort => NetworkUInt16.FromRaw((ushort)(RawPorts >> 16));
}

/// <summary>Which way packets of a table entry go.</summary>
public enum ConnectionDirection : byte
{
    /// <summary>From the client: the destination is rewritten.</summary>
    Forward,
    /// <summary>From the backend: the source is rewritten.</summary>
    Reply,
}

/// <summary>How a connection ended so far.</summary>
[Flags]
public enum ConnectionEnd : byte
{
    /// <summary>Not at all.</summary>
    None = 0,
    /// <summary>The client sent FIN.</summary>
    ClientFin = 1,
    /// <summary>The backend sent FIN.</summary>
    BackendFin = 2,
    /// <summary>One side sent RST.</summary>
    Reset = 4,
}

/// <summary>What a connection waits for, as far as its backend is measured by it; those in which an answer is waited for come first.</summary>
public enum ConnectionPhase : byte
{
    /// <summary>The answer to SYN. In the entry of the client's packets: their first data.</summary>
    Opening,
    /// <summary>The first byte of an answer.</summary>
    Asked,
    /// <summary>A request.</summary>
    Open,
    /// <summary>Nothing, or the next request.</summary>
    Answered,
}

/// <summary>
/// What is done to packets of one direction of a connection; everything the hot path needs is in this one value.
/// Layout: new address 16, new port 2, checksum difference of addresses 2, of addresses and ports 2, direction 1, end 1, backend 4, last seen 4,
/// pending since 4, phase 1, number of the other address 1, other port 2.
/// With source translation both ends of a packet are replaced: the receiver by <see cref="NewAddress"/>, the sender by the other address.
/// </summary>
public struct Connection
{
    /// <summary>Address that replaces the destination (forward) or the source (reply); with source translation, the destination both ways.</summary>
    public IpAddress NewAddress;

    /// <summary>The port that goes with it.</summary>
    public NetworkUInt16 NewPort;

    /// <summary><see cref="ChecksumDelta"/> of the address change: for the IPv4 header.</summary>
    public ushort AddressDelta;

    /// <summary><see cref="ChecksumDelta"/> of address and port change: for TCP and UDP.</summary>
    public ushort FullDelta;

    /// <summary>Which way the packets go.</summary>
    public ConnectionDirection Direction;

    /// <summary>How the connection ended so far; the same in both entries.</summary>
    public ConnectionEnd End;

    /// <summary>Id of the backend.</summary>
    public uint Backend;

    /// <summary><see cref="BalancerMaps.Clock"/> when a packet of this direction was last seen.</summary>
    public uint LastSeen;

    /// <summary>When that began what the backend owes an answer to, in ticks of <see cref="BackendSignals.TickNanoseconds"/>; in the entry of the answers.</summary>
    public uint PendingSince;

    /// <summary>What is waited for.</summary>
    public ConnectionPhase Phase;

    /// <summary>With source translation, the number of the address that replaces the source, an index of <see cref="BalancerMaps.Addresses"/>; else 0.</summary>
    public byte OtherAddress;

    /// <summary>The port that goes with it.</summary>
    public NetworkUInt16 OtherPort;

    /// <summary>Whether both sides finished or one reset: the ports may be used anew.</summary>
    public readonly bool IsClosed => End >= (ConnectionEnd.ClientFin | ConnectionEnd.BackendFin);
}

/// <summary>A fragmented packet. Layout: source 16, destination 16, identification 4, protocol 4.</summary>
public struct FragmentKey
{
    /// <summary>Sender.</summary>
    public IpAddress Source;

    /// <summary>Receiver.</summary>
    public IpAddress Destination;

    /// <summary>Identification as the processor loads it.</summary>
    public uint Identification;

    /// <summary>Protocol number; 0 for IPv6.</summary>
    public uint Protocol;
}

/// <summary>What is done to the later fragments of a packet. Layout: new address 16, checksum difference 2, direction 2, backend or number of an address 4.</summary>
public struct FragmentRoute
{
    /// <summary>Address that replaces the destination (forward) or the source (reply).</summary>
    public IpAddress NewAddress;

    /// <summary><see cref="ChecksumDelta"/> of the change, for the IPv4 header.</summary>
    public ushort AddressDelta;

    /// <summary><see cref="ConnectionDirection"/>, <see cref="Unchanged"/> or <see cref="Tunnelled"/>.</summary>
    public ushort Direction;

    /// <summary>Id of the backend of tunnelled fragments; of others with source translation, the number of the address that replaces the source; else 0.</summary>
    public uint Backend;

    /// <summary>The packet is not balanced: its fragments pass as they are.</summary>
    public const ushort Unchanged = 2;

    /// <summary>The packet goes to the backend in outer headers, and its fragments likewise.</summary>
    public const ushort Tunnelled = 3;
}
