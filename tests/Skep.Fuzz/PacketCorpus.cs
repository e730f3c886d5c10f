using Skep.Packets;

namespace Skep.Fuzz;

/// <summary>A packet with the name of what it is.</summary>
/// <param name="Name">What the packet is, in a few words.</param>
/// <param name="Bytes">From the Ethernet header on.</param>
public sealed record NamedPacket(string Name, byte[] Bytes)
{
    /// <inheritdoc/>
    public override string ToString() => Name;
}

/// <summary>
/// Well-formed packets of every layer the edge and flow programs look at, and a few of each kind of contradiction,
/// between the addresses of <see cref="Scene"/>.
/// </summary>
public static class PacketCorpus
{
    private static readonly byte[] s_timestamps = [1, 1, 8, 10, 0, 0, 0x10, 1, 0, 0, 0x20, 2];
    private static readonly byte[] s_synOptions = [2, 4, 5, 0xB4, 4, 2, 8, 10, 0, 0, 0x10, 0, 0, 0, 0, 0, 1, 3, 3, 7];

    /// <summary>All packets, in a fixed order.</summary>
    public static IReadOnlyList<NamedPacket> All { get; } = [.. Link(), .. Tcp(), .. Udp(), .. Fragments(), .. Icmp(), .. Extensions(), .. Filtered(), .. Broken()];

    private static IEnumerable<NamedPacket> Link()
    {
        var web = PacketBuilder.Ethernet().IPv4(Scene.Client, Scene.WebService).Tcp(40001, 80, TcpFlags.Syn);
        yield return new("arp request", PacketBuilder.Ethernet().Arp(1, Scene.Client, Scene.WebService).Build());
        yield return new("unknown ether type", PacketBuilder.Ethernet(etherType: 0x88CC).Payload(46).Build());
        yield return new("802.3 length", PacketBuilder.Ethernet(etherType: 0x002E).Payload(46).Build());
        yield return new("802.3 raw", PacketBuilder.Ethernet(etherType: 0x002E).Payload([0xFF, 0xFF, .. new byte[44]]).Build());
        yield return new("vlan tcp", PacketBuilder.Ethernet().Vlan(10).IPv4(Scene.Client, Scene.WebService).Tcp(40002, 80, TcpFlags.Syn).Build());
        yield return new("qinq tcp", PacketBuilder.Ethernet().Vlan(10, service: true).Vlan(20).IPv4(Scene.Client, Scene.WebService).Tcp(40003, 80, TcpFlags.Syn).Build());
        yield return new("three tags", PacketBuilder.Ethernet().Vlan(1, service: true).Vlan(2).Vlan(3).IPv4(Scene.Client, Scene.WebService).Tcp(40004, 80).Build());
        yield return new("vlan arp", PacketBuilder.Ethernet().Vlan(10).Arp(2, Scene.Client, Scene.WebService).Build());
        yield return new("padded to 60", [.. web.Build(), .. new byte[6]]);
        yield return new("broadcast", PacketBuilder.Ethernet(destination: MacAddress.Parse("ff:ff:ff:ff:ff:ff")).IPv4("0.0.0.0", "255.255.255.255").Udp(68, 67).Payload(240).Build());
    }

    private static IEnumerable<NamedPacket> Tcp()
    {
        foreach (var (family, ip) in Families(Scene.Client, Scene.Client6, Scene.WebService, Scene.WebService6))
        {
            yield return new($"tcp{family} syn", ip.Tcp(40010, 80, TcpFlags.Syn, 1000, options: s_synOptions).Build());
            yield return new($"tcp{family} ack", ip.Tcp(40010, 80, TcpFlags.Ack, 1001, 501, options: s_timestamps).Build());
            yield return new($"tcp{family} request", ip.Tcp(40010, 80, TcpFlags.Ack | TcpFlags.Psh, 1001, 501, options: s_timestamps).Payload(120).Build());
            yield return new($"tcp{family} fin", ip.Tcp(40010, 80, TcpFlags.Ack | TcpFlags.Fin, 1121, 900).Build());
            yield return new($"tcp{family} last ack", ip.Tcp(40010, 80, TcpFlags.Ack, 1122, 901).Build());
            yield return new($"tcp{family} rst", ip.Tcp(40011, 80, TcpFlags.Rst, 1).Build());
            yield return new($"tcp{family} stray ack", ip.Tcp(40012, 80, TcpFlags.Ack, 1).Payload(10).Build());
            yield return new($"tcp{family} all flags", ip.Tcp(40013, 80, (TcpFlags)0xFF, 1).Build());
            yield return new($"tcp{family} no flags", ip.Tcp(40014, 80, 0, 1).Build());
            yield return new($"tcp{family} other port", ip.Tcp(40015, 22, TcpFlags.Syn, 1).Build());
            yield return new($"tcp{family} full segment", ip.Tcp(40010, 80, TcpFlags.Ack, 1121, 901).Payload(1400).Build());
        }

        foreach (var backend in Scene.Backends)
        {
            var ip = PacketBuilder.Ethernet().IPv4(backend, Scene.Client);
            yield return new($"answer of {backend}", ip.Tcp(8080, 40010, TcpFlags.Syn | TcpFlags.Ack, 500, 1001, options: s_synOptions).Build());
            yield return new($"fin of {backend}", ip.Tcp(8080, 40010, TcpFlags.Fin | TcpFlags.Ack, 900, 1122).Build());
        }

        foreach (var backend in Scene.Backends6)
        {
            yield return new($"answer of {backend}", PacketBuilder.Ethernet().IPv6(backend, Scene.Client6).Tcp(8080, 40010, TcpFlags.Syn | TcpFlags.Ack, 500, 1001).Build());
        }

        // The shop has one of the backends of the web service: where both choose it, the answers could not be told apart.
        for (ushort port = 41000; port < 41012; port++)
        {
            yield return new($"web from port {port}", PacketBuilder.Ethernet().IPv4(Scene.Client, Scene.WebService).Tcp(port, 80, TcpFlags.Syn).Build());
            yield return new($"shop from port {port}", PacketBuilder.Ethernet().IPv4(Scene.Client, Scene.ShopService).Tcp(port, 80, TcpFlags.Syn).Build());
        }

        yield return new("tcp with ip options", PacketBuilder.Ethernet().IPv4(Scene.Client, Scene.WebService, options: [7, 7, 4, 1, 2, 3, 4, 0]).Tcp(40020, 80, TcpFlags.Syn).Build());
        yield return new("tcp with 40 bytes of ip options", PacketBuilder.Ethernet().IPv4(Scene.Client, Scene.WebService, options: new byte[40]).Tcp(40021, 80, TcpFlags.Syn).Build());
        yield return new("tcp elsewhere", PacketBuilder.Ethernet().IPv4(Scene.Client, "198.18.0.1").Tcp(40022, 443, TcpFlags.Syn).Build());
    }

    private static IEnumerable<NamedPacket> Udp()
    {
        foreach (var (family, ip) in Families(Scene.Client, Scene.Client6, Scene.NameService, Scene.NameService6))
        {
            yield return new($"udp{family} query", ip.Udp(50001, 53).Payload(40).Build());
            yield return new($"udp{family} empty", ip.Udp(50002, 53).Build());
            yield return new($"udp{family} without checksum", ip.Udp(50003, 53, withoutChecksum: true).Payload(30).Build());
            yield return new($"udp{family} other port", ip.Udp(50004, 54).Payload(30).Build());
        }

        foreach (var backend in Scene.Backends)
        {
            yield return new($"udp answer of {backend}", PacketBuilder.Ethernet().IPv4(backend, Scene.Client).Udp(5353, 50001).Payload(100).Build());
        }
    }

    private static IEnumerable<NamedPacket> Fragments()
    {
        var first = PacketBuilder.Ethernet().IPv4(Scene.Client, Scene.NameService, identification: 77, moreFragments: true);
        yield return new("first fragment", first.Udp(50005, 53).Payload(64).Build());
        var later = PacketBuilder.Ethernet().IPv4(Scene.Client, Scene.NameService, identification: 77, fragmentOffset: 72, protocol: IpProtocol.Udp);
        yield return new("later fragment", later.Payload(80).Build());
        var stray = PacketBuilder.Ethernet().IPv4(Scene.Client, Scene.NameService, identification: 78, fragmentOffset: 72, moreFragments: true, protocol: IpProtocol.Udp);
        yield return new("stray fragment", stray.Payload(80).Build());
        var head6 = PacketBuilder.Ethernet().IPv6(Scene.Client6, Scene.NameService6);
        yield return new("first fragment6", head6.FragmentHeader(99, 0, moreFragments: true).Udp(50006, 53).Payload(64).Build());
        yield return new("later fragment6", head6.FragmentHeader(99, 72, nextHeader: IpProtocol.Udp).Payload(80).Build());
        yield return new("atomic fragment6", head6.FragmentHeader(100).Udp(50007, 53).Payload(8).Build());
        yield return new("stray fragment6", head6.FragmentHeader(101, 8, moreFragments: true, nextHeader: IpProtocol.Udp).Payload(8).Build());
    }

    private static IEnumerable<NamedPacket> Icmp()
    {
        yield return new("ping", PacketBuilder.Ethernet().IPv4(Scene.Client, Scene.WebService).Icmp(8, 0, 0x00010001).Payload(56).Build());
        yield return new("ping6", PacketBuilder.Ethernet().IPv6(Scene.Client6, Scene.WebService6).Icmp(128, 0, 0x00010001).Payload(56).Build());
        yield return new("neighbour solicitation", PacketBuilder.Ethernet().IPv6(Scene.Client6, "ff02::1:ff00:10", 255).Icmp(135).Payload(24).Build());
        foreach (var backend in Scene.Backends)
        {
            var answer = PacketBuilder.Bare().IPv4(Scene.Client, backend).Tcp(40010, 8080, TcpFlags.Ack, 1001).Payload(20);
            yield return new($"port unreachable by {backend}", PacketBuilder.Ethernet().IPv4(backend, Scene.Client).Icmp(3, 3).Payload(answer).Build());
        }

        var request = PacketBuilder.Bare().IPv4(Scene.WebService, Scene.Client).Tcp(80, 40010, TcpFlags.Ack, 1).Payload(8);
        yield return new("fragmentation needed from a router", PacketBuilder.Ethernet().IPv4("198.18.0.9", Scene.WebService).Icmp(3, 4, 1400).Payload(request).Build());
        var request6 = PacketBuilder.Bare().IPv6(Scene.WebService6, Scene.Client6).Tcp(80, 40010, TcpFlags.Ack, 1).Payload(8);
        yield return new("packet too big from a router", PacketBuilder.Ethernet().IPv6("2001:db8:9::1", Scene.WebService6).Icmp(2, 0, 1400).Payload(request6).Build());
        yield return new("error without a packet", PacketBuilder.Ethernet().IPv4(Scene.Client, Scene.WebService).Icmp(3, 3).Build());
    }

    private static IEnumerable<NamedPacket> Extensions()
    {
        var head = PacketBuilder.Ethernet().IPv6(Scene.Client6, Scene.WebService6);
        yield return new("hop by hop", head.Extension(IpProtocol.HopByHop).Tcp(40030, 80, TcpFlags.Syn).Build());
        yield return new("destination options of 24", head.Extension(IpProtocol.DestinationOptions, 24).Tcp(40031, 80, TcpFlags.Syn).Build());
        yield return new("routing and authentication", head.Extension(IpProtocol.Routing, 16).Extension(IpProtocol.Authentication, 24).Tcp(40032, 80, TcpFlags.Syn).Build());
        yield return new("no next header", head.Build());
        var chain = head;
        for (var i = 0; i < IpPacket.MaxExtensionHeaders; i++)
        {
            chain = chain.Extension(IpProtocol.DestinationOptions);
        }

        yield return new("as many extensions as are read", chain.Udp(50010, 53).Build());
        yield return new("one extension too many", chain.Extension(IpProtocol.DestinationOptions).Udp(50011, 53).Build());
        yield return new("longest extension", head.Extension(IpProtocol.DestinationOptions, 2048).Tcp(40033, 80, TcpFlags.Syn).Build());
    }

    private static IEnumerable<NamedPacket> Filtered()
    {
        yield return new("blocked address", PacketBuilder.Ethernet().IPv4(Scene.BlockedAddress, Scene.WebService).Tcp(40040, 80, TcpFlags.Syn).Build());
        yield return new("blocked prefix", PacketBuilder.Ethernet().IPv4(Scene.InBlockedPrefix, Scene.WebService).Tcp(40041, 80, TcpFlags.Syn).Build());
        yield return new("blocked prefix6", PacketBuilder.Ethernet().IPv6(Scene.InBlockedPrefix6, Scene.WebService6).Tcp(40042, 80, TcpFlags.Syn).Build());
        yield return new("service without backends", PacketBuilder.Ethernet().IPv4(Scene.Client, Scene.EmptyService).Tcp(40043, 80, TcpFlags.Syn).Build());
    }

    private static IEnumerable<NamedPacket> Broken()
    {
        var packet = PacketBuilder.Ethernet().IPv4(Scene.Client, Scene.WebService).Tcp(40050, 80, TcpFlags.Syn).Build();
        yield return new("version 5", With(packet, 14, 0x55));
        yield return new("header length 4", With(packet, 14, 0x44));
        yield return new("header length 60 of 20", With(packet, 14, 0x4F));
        yield return new("total length too long", With(packet, 16, 0x7F));
        yield return new("total length 0", With(With(packet, 16, 0), 17, 0));
        yield return new("data offset 3", With(packet, 46, 0x30));
        yield return new("data offset 15", With(packet, 46, 0xF0));
        foreach (var length in new[] { 14, 15, 33, 34, 37, 38, 42, 53 })
        {
            yield return new($"cut to {length}", packet[..length]);
        }

        var packet6 = PacketBuilder.Ethernet().IPv6(Scene.Client6, Scene.WebService6).Udp(50050, 53).Payload(8).Build();
        yield return new("payload length too long", With(packet6, 18, 0x7F));
        yield return new("version 4 in ipv6", With(packet6, 14, 0x40));
        yield return new("udp length 3", With(With(packet6, 58, 0), 59, 3));
        foreach (var length in new[] { 53, 54, 57, 61 })
        {
            yield return new($"ipv6 cut to {length}", packet6[..length]);
        }
    }

    private static IEnumerable<(string Family, PacketBuilder Ip)> Families(string source, string source6, string target, string target6)
    {
        yield return ("", PacketBuilder.Ethernet().IPv4(source, target));
        yield return ("6", PacketBuilder.Ethernet().IPv6(source6, target6));
    }

    private static byte[] With(byte[] packet, int offset, byte value)
    {
        var changed = packet.ToArray();
        changed[offset] = value;
        return changed;
    }
}
