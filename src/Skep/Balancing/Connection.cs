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

/// <summary>How far a connection is.</summary>
public enum ConnectionStage : byte
{
    /// <summary>The client asked: others that begin may drive it out.</summary>
    Beginning,
    /// <summary>UDP that was answered once: likewise.</summary>
    Answered,
    /// <summary>The backend answered as only an established connection makes it: nobody drives it out.</summary>
    Established,
}

/// <summary>What a record of the connection table stands for.</summary>
[Flags]
public enum ConnectionKind : byte
{
    /// <summary>A connection whose backend sees the client's own address.</summary>
    Plain = 0,
    /// <summary>A connection whose backend sees an own address: <see cref="Connection.Link"/> is the number of its alias.</summary>
    Translated = 0x40,
    /// <summary>
    /// The own address and port that the backend of another record sees, in the place of client and client port; <see cref="Connection.Link"/> is the number of that record.
    /// </summary>
    Alias = 0x80,
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
    /// <summary>The answer to SYN. Of the client: its first data.</summary>
    Opening,
    /// <summary>The first byte of an answer.</summary>
    Asked,
    /// <summary>A request.</summary>
    Open,
    /// <summary>Nothing, or the next request.</summary>
    Answered,
}

/// <summary>
/// A connection, both directions of it. Layout: client 16, virtual address 16, backend 16, three ports, protocol and kind 8, checksum difference of addresses 2, of addresses
/// and ports 2, id of the backend 4, last seen 4, pending since 4, link 4, end 1, phase of the client 1, phase of the backend 1, stage 1. Differences are those of the
/// client's packets; those of answers are their negations. A record that is replaced while another CPU works with it may mix two connections for that one packet, as entries
/// of the kernel's own tables may; all numbers in it are checked where they are used.
/// </summary>
public struct Connection
{
    /// <summary>Address of the client; in an alias, the own address.</summary>
    public IpAddress Client;

    /// <summary>Virtual address; in an alias none.</summary>
    public IpAddress Virtual;

    /// <summary>Address of the backend.</summary>
    public IpAddress Backend;

    /// <summary>
    /// Written once: from the lowest bit up the ports of <see cref="Backend"/>, <see cref="Client"/> and <see cref="Virtual"/> in network order, protocol number, <see cref="ConnectionKind"/>.
    /// So the two ports of a packet, which lie side by side, do here too, whoever sent it.
    /// </summary>
    public ulong Ports;

    /// <summary><see cref="ChecksumDelta"/> of the address change: for the IPv4 header.</summary>
    public ushort AddressDelta;

    /// <summary><see cref="ChecksumDelta"/> of address and port change: for TCP and UDP.</summary>
    public ushort FullDelta;

    /// <summary>Id of the backend.</summary>
    public uint BackendId;

    /// <summary><see cref="BalancerMaps.Clock"/> when a packet of the client was seen last, or one of the backend two seconds or more after that.</summary>
    public uint LastSeen;

    /// <summary>
    /// When that began what the backend owes an answer to, in ticks of <see cref="BackendSignals.TickNanoseconds"/>; while nothing is measured, when the connection began in
    /// ticks of the kernel.
    /// </summary>
    public uint PendingSince;

    /// <summary>With source translation the number of the other record: from the connection to its alias and back.</summary>
    public uint Link;

    /// <summary>How the connection ended so far.</summary>
    public ConnectionEnd End;

    /// <summary>What is waited for of the client.</summary>
    public ConnectionPhase ClientPhase;

    /// <summary>What is waited for of the backend.</summary>
    public ConnectionPhase Phase;

    /// <summary>How far the connection is.</summary>
    public ConnectionStage Stage;

    /// <summary>Port of <see cref="Client"/>.</summary>
    public readonly NetworkUInt16 ClientPort => NetworkUInt16.FromRaw((ushort)(Ports >> 16));

    /// <summary>Port of <see cref="Virtual"/>.</summary>
    public readonly NetworkUInt16 VirtualPort => NetworkUInt16.FromRaw((ushort)(Ports >> 32));

    /// <summary>Port of <see cref="Backend"/>.</summary>
    public readonly NetworkUInt16 BackendPort => NetworkUInt16.FromRaw((ushort)Ports);

    /// <summary>Ports of the client's packets: its own in the lower, the virtual one in the upper half, both in network order.</summary>
    public readonly uint RawPorts => (uint)(Ports >> 16);

    /// <summary>Protocol.</summary>
    public readonly IpProtocol Protocol => (IpProtocol)(byte)(Ports >> 48);

    /// <summary>What the record stands for.</summary>
    public readonly ConnectionKind Kind => (ConnectionKind)(byte)(Ports >> 56);

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

/// <summary>What is done to the later fragments of a packet. Layout: new sender 16, new receiver 16, checksum difference 2, kind 2, backend 4.</summary>
public struct FragmentRoute
{
    /// <summary>Address that replaces the sender's.</summary>
    public IpAddress Sender;

    /// <summary>Address that replaces the receiver's.</summary>
    public IpAddress Receiver;

    /// <summary><see cref="ChecksumDelta"/> of the change, for the IPv4 header.</summary>
    public ushort AddressDelta;

    /// <summary><see cref="Rewritten"/>, <see cref="Unchanged"/> or <see cref="Tunnelled"/>.</summary>
    public ushort Kind;

    /// <summary>Id of the backend of tunnelled fragments.</summary>
    public uint Backend;

    /// <summary>Addresses are replaced.</summary>
    public const ushort Rewritten = 0;

    /// <summary>The packet is not balanced: its fragments pass as they are.</summary>
    public const ushort Unchanged = 2;

    /// <summary>The packet goes to the backend in outer headers, and its fragments likewise.</summary>
    public const ushort Tunnelled = 3;
}
