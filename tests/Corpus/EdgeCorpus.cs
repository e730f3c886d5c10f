using Skep.Balancing;
using Skep.Edge;
using Skep.Filtering;
using Skep.Packets;

namespace Skep.Corpus;

/// <summary>
/// Packets that between them take every branch of the edge program, to be run in order over maps prepared by <see cref="Prepare"/>:
/// later packets belong to connections that earlier ones began.
/// </summary>
public static class EdgeCorpus
{
    public const string Client = "192.0.2.10";
    public const string Vip = "198.51.100.1";
    public const string Web = "10.1.0.1";
    public const string Dns = "10.1.0.2";
    public const string Client6 = "2001:db8:c::10";
    public const string Vip6 = "2001:db8:f::1";
    public const string Web6 = "2001:db8:b::1";

    /// <summary>Options under which the expected verdicts hold; tables small, so that they can be compared whole.</summary>
    public static EdgeOptions Options { get; } = new()
    {
        RingSize = 251,
        RingRows = 1536,
        MaxServices = 16,
        MaxBackends = 64,
        MaxConnections = 1024,
        MaxBlockedAddresses = 64,
        MaxBlockedPrefixes = 64,
        MaxSources = 1024,
        Malformed = PacketPolicy.Drop,
        RateLimit = new SourceRate(1, 200),
    };

    /// <summary>Services of one backend each, so that the verdicts do not depend on the ring, and blocks.</summary>
    public static void Prepare(EdgeState state)
    {
        ArgumentNullException.ThrowIfNull(state);
        Require(state.Balancer.Apply(
        [
            Service("web", Vip, 80, IpProtocol.Tcp, (Web, 8080)),
            Service("web2", Vip, 81, IpProtocol.Tcp, (Web, 8080)),
            Service("dns", Vip, 53, IpProtocol.Udp, (Dns, 5353)),
            Service("web6", Vip6, 80, IpProtocol.Tcp, (Web6, 8080)),
            Service("dns6", Vip6, 53, IpProtocol.Udp, (Web6, 5353)),
        ]).IsEmpty);
        Require(state.Balancer.Apply([.. state.Balancer.Services.Select(s => s.Model), Service("empty", Vip, 82, IpProtocol.Tcp)]).Length == 1);
        Require(state.BlockList.Block(new(IpPrefix.Parse("203.0.113.66"))) is null);
        Require(state.BlockList.Block(new(IpPrefix.Parse("203.0.113.67"), TimeSpan.FromTicks(1))) is null);
        Require(state.BlockList.Block(new(IpPrefix.Parse("2001:db8:bad::/48"))) is null);
        Require(state.BlockList.Block(new(IpPrefix.Parse("100.64.0.0/10"), TimeSpan.FromDays(1))) is null);
    }

    /// <summary>The packets, in the order in which they are to be run.</summary>
    public static IReadOnlyList<CorpusPacket> Packets { get; } = [.. Links(), .. Blocks(), .. Web4(), .. Udp4(), .. Both6(), .. Errors(), .. Lengths()];

    private static IEnumerable<CorpusPacket> Links()
    {
        var ping = PacketBuilder.Ethernet().IPv4(Client, "192.0.2.1").Icmp(8).Payload(32);
        yield return new("empty frame tail", new byte[14], "NotIp");
        yield return new("ARP", PacketBuilder.Ethernet().Arp(1, Client, "192.0.2.1").Build(), "NotIp");
        yield return new("echo to a host", ping.Build(), "Passed");
        yield return new("echo6 to a host", PacketBuilder.Ethernet().IPv6(Client6, "2001:db8::1").Icmp(128).Payload(8).Build(), "Passed");
        yield return new("VLAN", PacketBuilder.Ethernet().Vlan(5).IPv4(Client, "192.0.2.1").Tcp(1000, 2000).Build(), "Passed");
        yield return new("QinQ6", PacketBuilder.Ethernet().Vlan(5, service: true).Vlan(6).IPv6(Client6, "2001:db8::1").Udp(1000, 2000).Build(), "Passed");
        yield return new("VLAN with ARP", PacketBuilder.Ethernet().Vlan(5).Arp(1, Client, "192.0.2.1").Build(), "NotIp");
        yield return new("three tags", PacketBuilder.Ethernet().Vlan(1).Vlan(2).Vlan(3).IPv4(Client, "192.0.2.1").Udp(1, 2).Build(), "Malformed");
        yield return new("truncated tag", PacketBuilder.Ethernet(etherType: 0x8100).Payload(2).Build(), "Malformed");
        yield return new("GRE", PacketBuilder.Ethernet().IPv4(Client, "192.0.2.1", protocol: IpProtocol.Gre).Payload(20).Build(), "Passed");
        yield return new("later fragment to a host", PacketBuilder.Ethernet().IPv4(Client, "192.0.2.1", fragmentOffset: 8, protocol: IpProtocol.Udp).Payload(8).Build(), "Passed");
    }

    private static IEnumerable<CorpusPacket> Blocks()
    {
        yield return new("blocked address", PacketBuilder.Ethernet().IPv4("203.0.113.66", Vip).Tcp(1, 80, TcpFlags.Syn).Build(), "Blocked");
        yield return new("expired block", PacketBuilder.Ethernet().IPv4("203.0.113.67", "192.0.2.1").Udp(1, 2).Build(), "Passed");
        yield return new("blocked prefix", PacketBuilder.Ethernet().IPv4("100.100.1.2", Vip).Udp(1, 53).Build(), "Blocked");
        yield return new("blocked prefix6", PacketBuilder.Ethernet().IPv6("2001:db8:bad::7", Vip6).Tcp(1, 80, TcpFlags.Syn).Build(), "Blocked");
        yield return new("beside the prefix6", PacketBuilder.Ethernet().IPv6("2001:db8:bae::7", "2001:db8::1").Udp(1, 2).Build(), "Passed");
    }

    private static IEnumerable<CorpusPacket> Web4()
    {
        var toVip = PacketBuilder.Ethernet().IPv4(Client, Vip);
        var fromWeb = PacketBuilder.Ethernet().IPv4(Web, Client);
        yield return new("SYN", toVip.Tcp(40000, 80, TcpFlags.Syn, options: [2, 4, 5, 180]).Build(), "Forwarded");
        yield return new("SYN again", toVip.Tcp(40000, 80, TcpFlags.Syn).Build(), "Forwarded");
        yield return new("SYN/ACK", fromWeb.Tcp(8080, 40000, TcpFlags.Syn | TcpFlags.Ack).Build(), "Replied");
        yield return new("request", toVip.Tcp(40000, 80, TcpFlags.Psh | TcpFlags.Ack).Payload(101).Build(), "Forwarded");
        yield return new("request with IP options", PacketBuilder.Ethernet().IPv4(Client, Vip, options: [148, 4, 0, 0]).Tcp(40000, 80).Payload(3).Build(), "Forwarded");
        yield return new("request in a VLAN", PacketBuilder.Ethernet().Vlan(9).IPv4(Client, Vip).Tcp(40000, 80).Payload(4).Build(), "Forwarded");
        yield return new("answer in QinQ", PacketBuilder.Ethernet().Vlan(9, service: true).Vlan(8).IPv4(Web, Client).Tcp(8080, 40000).Payload(99).Build(), "Replied");
        yield return new("same client port, other service, same backend", toVip.Tcp(40000, 81, TcpFlags.Syn).Build(), "PortCollision");
        yield return new("FIN of the client", toVip.Tcp(40000, 80, TcpFlags.Fin | TcpFlags.Ack).Build(), "Forwarded");
        yield return new("FIN of the backend", fromWeb.Tcp(8080, 40000, TcpFlags.Fin | TcpFlags.Ack).Build(), "Replied");
        yield return new("last ACK", toVip.Tcp(40000, 80, TcpFlags.Ack).Build(), "Forwarded");
        yield return new("port used anew, other service", toVip.Tcp(40000, 81, TcpFlags.Syn).Build(), "Forwarded");
        yield return new("reset by the backend", fromWeb.Tcp(8080, 40000, TcpFlags.Rst).Build(), "Replied");
        yield return new("reset by the client", toVip.Tcp(40000, 81, TcpFlags.Rst).Build(), "Forwarded");
        yield return new("closed connection begun anew", toVip.Tcp(40000, 81, TcpFlags.Syn).Build(), "Forwarded");
        yield return new("ACK without connection", toVip.Tcp(40001, 80).Build(), "Forwarded");
        yield return new("no backend", toVip.Tcp(40002, 82, TcpFlags.Syn).Build(), "NoBackend");
        yield return new("port without service", toVip.Tcp(40002, 83, TcpFlags.Syn).Build(), "Passed");
        yield return new("UDP to a TCP service", toVip.Udp(40002, 80).Build(), "Passed");
        yield return new("echo to the service address", toVip.Icmp(8).Build(), "Passed");
        yield return new("backend speaks unasked", fromWeb.Tcp(8080, 50000, TcpFlags.Syn).Build(), "Passed");
    }

    private static IEnumerable<CorpusPacket> Udp4()
    {
        var toVip = PacketBuilder.Ethernet().IPv4(Client, Vip, identification: 7);
        yield return new("query", toVip.Udp(5000, 53).Payload(30).Build(), "Forwarded");
        yield return new("query again", toVip.Udp(5000, 53).Payload(31).Build(), "Forwarded");
        yield return new("query without checksum", toVip.Udp(5000, 53, withoutChecksum: true).Payload(30).Build(), "Forwarded");
        yield return new("answer", PacketBuilder.Ethernet().IPv4(Dns, Client).Udp(5353, 5000).Payload(60).Build(), "Replied");
        yield return new("first fragment", PacketBuilder.Ethernet().IPv4(Client, Vip, identification: 77, moreFragments: true).Udp(5000, 53).Payload(32).Build(), "Forwarded");
        yield return new("later fragment", PacketBuilder.Ethernet().IPv4(Client, Vip, identification: 77, fragmentOffset: 40, protocol: IpProtocol.Udp).Payload(16).Build(), "FragmentForwarded");
        yield return new("stray fragment", PacketBuilder.Ethernet().IPv4(Client, Vip, identification: 78, fragmentOffset: 40, protocol: IpProtocol.Udp).Payload(16).Build(), "StrayFragment");
        yield return new("first fragment of an answer", PacketBuilder.Ethernet().IPv4(Dns, Client, identification: 79, moreFragments: true).Udp(5353, 5000).Payload(32).Build(), "Replied");
        yield return new("later fragment of an answer", PacketBuilder.Ethernet().IPv4(Dns, Client, identification: 79, fragmentOffset: 40, protocol: IpProtocol.Udp).Payload(5).Build(), "FragmentForwarded");
    }

    private static IEnumerable<CorpusPacket> Both6()
    {
        var toVip = PacketBuilder.Ethernet().IPv6(Client6, Vip6);
        var fromWeb = PacketBuilder.Ethernet().IPv6(Web6, Client6);
        yield return new("SYN6", toVip.Tcp(40000, 80, TcpFlags.Syn).Build(), "Forwarded");
        yield return new("SYN/ACK6", fromWeb.Tcp(8080, 40000, TcpFlags.Syn | TcpFlags.Ack).Build(), "Replied");
        yield return new("request6 behind options", toVip.Extension(IpProtocol.HopByHop).Extension(IpProtocol.DestinationOptions, 16).Tcp(40000, 80).Payload(33).Build(), "Forwarded");
        yield return new("query6", toVip.Udp(5000, 53).Payload(30).Build(), "Forwarded");
        yield return new("answer6", fromWeb.Udp(5353, 5000).Payload(31).Build(), "Replied");
        yield return new("first fragment6", toVip.FragmentHeader(7, moreFragments: true).Udp(5000, 53).Payload(32).Build(), "Forwarded");
        yield return new("later fragment6", toVip.FragmentHeader(7, offset: 40, nextHeader: IpProtocol.Udp).Payload(16).Build(), "FragmentForwarded");
        yield return new("stray fragment6", toVip.FragmentHeader(8, offset: 40, nextHeader: IpProtocol.Udp).Payload(16).Build(), "StrayFragment");
        yield return new("atomic fragment6", toVip.FragmentHeader(9).Udp(5000, 53).Payload(5).Build(), "Forwarded");
        yield return new("authentication header6", toVip.Extension(IpProtocol.Authentication, 24).Udp(5000, 53).Payload(5).Build(), "Forwarded");
        yield return new("no next header6", toVip.Build(), "Passed");
        yield return new(
            "seven extension headers6",
            Enumerable.Range(0, 7).Aggregate(toVip, (b, _) => b.Extension(IpProtocol.DestinationOptions)).Udp(5000, 53).Build(),
            "Malformed");
    }

    private static IEnumerable<CorpusPacket> Errors()
    {
        var sentByVip = PacketBuilder.Bare().IPv4(Vip, Client).Udp(53, 5000).Payload(8);
        var sentToDns = PacketBuilder.Bare().IPv4(Client, Dns).Udp(5000, 5353).Payload(8);
        var sentByVip6 = PacketBuilder.Bare().IPv6(Vip6, Client6).Udp(53, 5000).Payload(8);
        var sentToWeb6 = PacketBuilder.Bare().IPv6(Client6, Web6).Udp(5000, 5353).Payload(8);
        var router = PacketBuilder.Ethernet().IPv4("192.0.2.1", Vip);
        var router6 = PacketBuilder.Ethernet().IPv6("2001:db8::1", Vip6);
        yield return new("too big, for the backend", router.Icmp(3, 4, 1400).Payload(sentByVip).Build(), "IcmpForwarded");
        yield return new("unreachable by the backend", PacketBuilder.Ethernet().IPv4(Dns, Client).Icmp(3, 3).Payload(sentToDns).Build(), "IcmpForwarded");
        yield return new("exceeded by a router before the backend", PacketBuilder.Ethernet().IPv4("10.1.0.254", Client).Icmp(11).Payload(sentToDns).Build(), "IcmpForwarded");
        yield return new("error about another connection", router.Icmp(3, 3).Payload(PacketBuilder.Bare().IPv4(Vip, Client).Udp(53, 9).Payload(8)).Build(), "Passed");
        yield return new("error about a ping", router.Icmp(3, 3).Payload(PacketBuilder.Bare().IPv4(Vip, Client).Icmp(0)).Build(), "Passed");
        yield return new("error about a later fragment", router.Icmp(3, 3).Payload(PacketBuilder.Bare().IPv4(Vip, Client, fragmentOffset: 8, protocol: IpProtocol.Udp).Payload(8)).Build(), "Passed");
        yield return new("error with a truncated packet", router.Icmp(3, 3).Payload(10).Build(), "Malformed");
        yield return new("error with a truncated transport header", router.Icmp(3, 3).Payload(PacketBuilder.Bare().IPv4(Vip, Client, protocol: IpProtocol.Udp)).Build(), "Passed");
        yield return new("truncated ICMP", router.Payload(new byte[] { 3, 3, 0, 0 }).Build(), "Passed");
        yield return new("too big6, for the backend", router6.Icmp(2, 0, 1280).Payload(sentByVip6).Build(), "IcmpForwarded");
        yield return new("unreachable6 by the backend", PacketBuilder.Ethernet().IPv6(Web6, Client6).Icmp(1, 4).Payload(sentToWeb6).Build(), "IcmpForwarded");
        yield return new("exceeded6 by a router before the backend", PacketBuilder.Ethernet().IPv6("2001:db8:b::fe", Client6).Icmp(3).Payload(sentToWeb6).Build(), "IcmpForwarded");
        yield return new("error6 about another connection", router6.Icmp(1, 4).Payload(PacketBuilder.Bare().IPv6(Vip6, Client6).Udp(53, 9)).Build(), "Passed");
        yield return new("error6 about a ping", router6.Icmp(1, 4).Payload(PacketBuilder.Bare().IPv6(Vip6, Client6).Icmp(129)).Build(), "Passed");
        yield return new("error6 with a truncated packet", router6.Icmp(1, 4).Payload(10).Build(), "Malformed");
        yield return new("neighbor solicitation", router6.Icmp(135).Payload(16).Build(), "Passed");
    }

    private static IEnumerable<CorpusPacket> Lengths()
    {
        var tcp = PacketBuilder.Ethernet().IPv4(Client, Vip).Tcp(40005, 80, TcpFlags.Syn).Build();
        var udp = PacketBuilder.Ethernet().IPv4(Client, Vip).Udp(5000, 53).Payload(4).Build();
        var tcp6 = PacketBuilder.Ethernet().IPv6(Client6, Vip6).Tcp(40005, 80, TcpFlags.Syn).Build();
        yield return new("IPv4 header cut", tcp[..30], "Malformed");
        yield return new("IPv4 version 5", Patched(tcp, 14, 0x55), "Malformed");
        yield return new("IPv4 header of 16 bytes", Patched(tcp, 14, 0x44), "Malformed");
        yield return new("IPv4 total length beyond the frame", Patched(tcp, 17, 200), "Malformed");
        yield return new("IPv4 total length below the header", Patched(tcp, 17, 19), "Malformed");
        yield return new("TCP header cut", Patched(tcp[..50], 17, 36), "Malformed");
        yield return new("TCP header of 16 bytes", Patched(tcp, 46, 0x40), "Malformed");
        yield return new("TCP options beyond the frame", Patched(tcp, 46, 0xF0), "Malformed");
        yield return new("UDP header cut", Patched(udp[..40], 17, 26), "Malformed");
        yield return new("UDP length of 7", Patched(udp, 39, 7), "Malformed");
        yield return new("IPv6 header cut", tcp6[..53], "Malformed");
        yield return new("IPv6 version 4", Patched(tcp6, 14, 0x40), "Malformed");
        yield return new("IPv6 payload beyond the frame", Patched(tcp6, 19, 21), "Malformed");
        yield return new("IPv6 extension header cut", PacketBuilder.Ethernet().IPv6(Client6, Vip6, nextHeader: IpProtocol.HopByHop).Payload(4).Build(), "Malformed");
        yield return new("ICMP of 3 bytes", PacketBuilder.Ethernet().IPv4(Client, Vip, protocol: IpProtocol.Icmp).Payload(3).Build(), "Malformed");
        yield return new("padded frame", [.. tcp, .. new byte[6]], "Forwarded");
    }

    private static ServiceModel Service(string name, string address, ushort port, IpProtocol protocol, params (string Address, ushort Port)[] backends) =>
        new(name, IpAddress.Parse(address), port, protocol, [.. backends.Select(b => new BackendModel(IpAddress.Parse(b.Address), b.Port))]);

    private static byte[] Patched(byte[] frame, int offset, byte value)
    {
        var copy = frame.ToArray();
        copy[offset] = value;
        return copy;
    }

    private static void Require(bool condition)
    {
        if (!condition)
        {
            throw new InvalidOperationException("The maps did not take the corpus's configuration.");
        }
    }
}
