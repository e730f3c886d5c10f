using Skep.Packets;

namespace Skep.Corpus;

/// <summary>Packets that between them take every branch of the flow programs, to be run in order; ingress ones through the ingress program.</summary>
public static class FlowCorpus
{
    public const string Local = "192.0.2.1";
    public const string Remote = "198.51.100.7";

    /// <summary>The packets, with the hook they are for (<c>Ingress</c> or <c>Egress</c>) in <see cref="CorpusPacket.Expected"/>.</summary>
    public static IReadOnlyList<CorpusPacket> Packets { get; } = [.. Others(), .. Conversation(), .. Layouts()];

    private static IEnumerable<CorpusPacket> Others()
    {
        yield return In("ARP", PacketBuilder.Ethernet().Arp(1, Remote, Local));
        yield return new("truncated", PacketBuilder.Ethernet().IPv4(Remote, Local).Build()[..30], "Ingress");
        yield return new("TCP header cut", PacketBuilder.Ethernet().IPv4(Remote, Local).Tcp(1, 2).Build()[..50], "Ingress");
        yield return new("UDP header cut", PacketBuilder.Ethernet().IPv4(Remote, Local).Udp(1, 2).Build()[..40], "Ingress");
        yield return In("ping", PacketBuilder.Ethernet().IPv4(Remote, Local).Icmp(8).Payload(56));
        yield return Out("pong", PacketBuilder.Ethernet().IPv4(Local, Remote).Icmp(0).Payload(56));
        yield return Out("query", PacketBuilder.Ethernet().IPv4(Local, Remote).Udp(5000, 53).Payload(30));
        yield return In("answer", PacketBuilder.Ethernet().IPv4(Remote, Local).Udp(53, 5000).Payload(300));
        yield return In("query6 in a VLAN", PacketBuilder.Ethernet().Vlan(7).IPv6("2001:db8::7", "2001:db8::1").Udp(5000, 53).Payload(30));
        yield return In("first fragment", PacketBuilder.Ethernet().IPv4(Remote, Local, identification: 5, moreFragments: true).Udp(9, 9).Payload(32));
        yield return In("later fragment", PacketBuilder.Ethernet().IPv4(Remote, Local, identification: 5, fragmentOffset: 40, protocol: IpProtocol.Udp).Payload(16));
    }

    private static IEnumerable<CorpusPacket> Conversation()
    {
        byte[] Stamp(uint value, uint echo) => [1, 1, 8, 10, 0, 0, 0, (byte)value, 0, 0, 0, (byte)echo];
        byte[] SynOptions(uint value, uint echo) => [2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, (byte)value, 0, 0, 0, (byte)echo, 1, 3, 3, 7];
        CorpusPacket FromUs(string name, TcpFlags flags, uint sequence, uint acknowledgment, int bytes, byte[]? options) => Out(
            name, PacketBuilder.Ethernet().IPv4(Local, Remote).Tcp(40000, 443, flags, sequence, acknowledgment, options: options).Payload(bytes));
        CorpusPacket ToUs(string name, TcpFlags flags, uint sequence, uint acknowledgment, int bytes, byte[]? options) => In(
            name, PacketBuilder.Ethernet().IPv4(Remote, Local).Tcp(443, 40000, flags, sequence, acknowledgment, options: options).Payload(bytes));

        yield return FromUs("SYN", TcpFlags.Syn, 100, 0, 0, SynOptions(10, 0));
        yield return ToUs("SYN/ACK", TcpFlags.Syn | TcpFlags.Ack, 900, 101, 0, SynOptions(50, 10));
        yield return FromUs("ACK", TcpFlags.Ack, 101, 901, 0, Stamp(11, 50));
        yield return FromUs("request", TcpFlags.Psh | TcpFlags.Ack, 101, 901, 200, Stamp(12, 50));
        yield return ToUs("ACK of the request", TcpFlags.Ack, 901, 301, 0, Stamp(51, 12));
        yield return ToUs("response", TcpFlags.Ack, 901, 301, 1000, Stamp(52, 12));
        yield return FromUs("ACK of the response", TcpFlags.Ack, 301, 1901, 0, Stamp(13, 52));
        yield return ToUs("response again", TcpFlags.Ack, 901, 301, 1000, Stamp(53, 12));
        yield return ToUs("retransmit with new data", TcpFlags.Ack, 1401, 301, 1000, Stamp(54, 12));
        yield return ToUs("data without timestamps", TcpFlags.Ack, 2401, 301, 10, null);
        yield return FromUs("FIN", TcpFlags.Fin | TcpFlags.Ack, 301, 2411, 0, Stamp(14, 54));
        yield return ToUs("FIN of the other side", TcpFlags.Fin | TcpFlags.Ack, 2411, 302, 0, Stamp(55, 14));
        yield return FromUs("last ACK", TcpFlags.Ack, 302, 2412, 0, Stamp(15, 55));
        yield return FromUs("the same ports again", TcpFlags.Syn, 5000, 0, 0, null);
        yield return ToUs("refused", TcpFlags.Rst | TcpFlags.Ack, 0, 5001, 0, null);
    }

    private static IEnumerable<CorpusPacket> Layouts()
    {
        byte[] timestamps = [8, 10, 0, 0, 0, 7, 0, 0, 0, 9];
        byte[][] layouts =
        [
            [.. timestamps, 1, 1],
            [1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2, .. timestamps, 1, 1],
            [3, 0, .. timestamps, 1, 1],
            [0, 0, .. timestamps],
            [2, 4, 5, 180],
        ];
        return layouts.Select((options, i) => In(
            $"options {i}", PacketBuilder.Ethernet().IPv6("2001:db8::7", "2001:db8::1").Tcp((ushort)(6000 + i), 80, options: options).Payload(100)));
    }

    private static CorpusPacket In(string name, PacketBuilder packet) => new(name, packet.Build(), "Ingress");

    private static CorpusPacket Out(string name, PacketBuilder packet) => new(name, packet.Build(), "Egress");
}
