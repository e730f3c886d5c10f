namespace Skep.Packets;

/// <summary>
/// Builds frames layer by layer, outermost first, for tests and laboratories: lengths, protocol numbers and checksums are filled in from what follows.
/// <c>PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2").Tcp(40000, 80, TcpFlags.Syn).Build()</c>. Immutable: a prefix can be reused.
/// </summary>
public sealed class PacketBuilder
{
    private readonly PacketLayer[] _layers;

    private PacketBuilder(PacketLayer[] layers) => _layers = layers;

    /// <summary>Begins with an Ethernet header.</summary>
    public static PacketBuilder Ethernet(MacAddress? source = null, MacAddress? destination = null, ushort? etherType = null) => new(
    [
        new EthernetLayer(source ?? MacAddress.Parse("02:00:00:00:00:01"), destination ?? MacAddress.Parse("02:00:00:00:00:02"), etherType),
    ]);

    /// <summary>Begins without a link header, as for the packet in an ICMP error.</summary>
    public static PacketBuilder Bare() => new([]);

    /// <summary>Adds a VLAN tag.</summary>
    public PacketBuilder Vlan(ushort id, byte priority = 0, bool service = false) => With(new VlanLayer(id, priority, service));

    /// <summary>Adds an ARP request or reply.</summary>
    public PacketBuilder Arp(ushort operation, string senderAddress, string targetAddress) =>
        With(new ArpLayer(operation, IpAddress.Parse(senderAddress), IpAddress.Parse(targetAddress)));

    /// <summary>Adds an IPv4 header.</summary>
    /// <param name="source">Sender.</param>
    /// <param name="destination">Receiver.</param>
    /// <param name="timeToLive">Hops left.</param>
    /// <param name="identification">Identification.</param>
    /// <param name="fragmentOffset">Offset in bytes, a multiple of 8.</param>
    /// <param name="moreFragments">Whether fragments follow.</param>
    /// <param name="options">Options, padded to a multiple of 4 bytes.</param>
    /// <param name="protocol">Protocol when it cannot be told from the next layer.</param>
    public PacketBuilder IPv4(
        string source,
        string destination,
        byte timeToLive = 64,
        ushort identification = 0,
        int fragmentOffset = 0,
        bool moreFragments = false,
        byte[]? options = null,
        IpProtocol? protocol = null) => With(new IPv4Layer(
            IpAddress.Parse(source), IpAddress.Parse(destination), timeToLive, identification, fragmentOffset, moreFragments, options ?? [], protocol));

    /// <summary>Adds an IPv6 header.</summary>
    public PacketBuilder IPv6(string source, string destination, byte hopLimit = 64, IpProtocol? nextHeader = null) =>
        With(new IPv6Layer(IpAddress.Parse(source), IpAddress.Parse(destination), hopLimit, nextHeader));

    /// <summary>Adds a hop-by-hop, routing, destination options or authentication header of <paramref name="bytes"/> bytes, its content zero.</summary>
    public PacketBuilder Extension(IpProtocol kind, int bytes = 8, IpProtocol? nextHeader = null) => With(new ExtensionLayer(kind, bytes, nextHeader));

    /// <summary>Adds an IPv6 fragment header; <paramref name="offset"/> in bytes, a multiple of 8.</summary>
    public PacketBuilder FragmentHeader(uint identification, int offset = 0, bool moreFragments = false, IpProtocol? nextHeader = null) =>
        With(new FragmentLayer(identification, offset, moreFragments, nextHeader));

    /// <summary>Adds a TCP header; options are padded to a multiple of 4 bytes.</summary>
    public PacketBuilder Tcp(
        ushort sourcePort,
        ushort destinationPort,
        TcpFlags flags = TcpFlags.Ack,
        uint sequence = 1,
        uint acknowledgment = 0,
        ushort window = 65535,
        byte[]? options = null) =>
        With(new TcpLayer(sourcePort, destinationPort, flags, sequence, acknowledgment, window, options ?? []));

    /// <summary>Adds a UDP header; <paramref name="withoutChecksum"/> sends zero for the checksum.</summary>
    public PacketBuilder Udp(ushort sourcePort, ushort destinationPort, bool withoutChecksum = false) =>
        With(new UdpLayer(sourcePort, destinationPort, withoutChecksum));

    /// <summary>Adds an ICMP header, or an ICMPv6 header after IPv6.</summary>
    public PacketBuilder Icmp(byte type, byte code = 0, uint rest = 0) => With(new IcmpLayer(type, code, rest));

    /// <summary>Adds bytes.</summary>
    public PacketBuilder Payload(params byte[] bytes) => With(new PayloadLayer(bytes));

    /// <summary>Adds <paramref name="count"/> bytes counting up from 0.</summary>
    public PacketBuilder Payload(int count) => With(new PayloadLayer([.. Enumerable.Range(0, count).Select(i => (byte)i)]));

    /// <summary>Adds another packet, as in an ICMP error or a tunnel.</summary>
    public PacketBuilder Payload(PacketBuilder inner)
    {
        ArgumentNullException.ThrowIfNull(inner);
        return With(new PayloadLayer(inner.Build()));
    }

    /// <summary>Writes the frame.</summary>
    public byte[] Build()
    {
        byte[] bytes = [];
        for (var i = _layers.Length - 1; i >= 0; i--)
        {
            bytes = _layers[i].Write(bytes, new LayerNeighbors(_layers, i));
        }

        return bytes;
    }

    private PacketBuilder With(PacketLayer layer) => new([.. _layers, layer]);
}
