using Skep.Balancing;
using Skep.Balancing.Adaptive;
using Skep.Edge;
using Skep.Packets;
using Skep.Tests.Edge;

namespace Skep.Tests.Balancing;

public sealed class BalancerStageTests
{
    private const string Client = "192.0.2.10";
    private const string Vip = "198.51.100.1";

    [Theory]
    [InlineData(IpProtocol.Tcp, false)]
    [InlineData(IpProtocol.Udp, false)]
    [InlineData(IpProtocol.Tcp, true)]
    [InlineData(IpProtocol.Udp, true)]
    public void Both_directions_are_rewritten(IpProtocol protocol, bool isIPv6)
    {
        var (client, vip, backend) = isIPv6 ? ("2001:db8:c::1", "2001:db8:f::1", "2001:db8:b::1") : (Client, Vip, "10.1.0.1");
        using var bed = new EdgeBed(prepare: s => s.Balancer.Apply([EdgeBed.Service("a", vip, 80, protocol, EdgeBed.Backend(backend, 8080))]));
        var (verdict, request) = bed.Run(Packet(client, 40000, vip, 80, protocol));
        Assert.Equal(EdgeVerdict.Forwarded, verdict);
        WireCheck.Of(request).AssertIs(client, 40000, backend, 8080);
        (verdict, var answer) = bed.Run(Packet(backend, 8080, client, 40000, protocol));
        Assert.Equal(EdgeVerdict.Replied, verdict);
        WireCheck.Of(answer).AssertIs(vip, 80, client, 40000);
    }

    [Fact]
    public void A_missing_UDP_checksum_stays_missing()
    {
        using var bed = new EdgeBed(prepare: s => s.Balancer.Apply([EdgeBed.Service("a", Vip, 53, IpProtocol.Udp, EdgeBed.Backend("10.1.0.1", 53))]));
        var (_, packet) = bed.Run(PacketBuilder.Ethernet().IPv4(Client, Vip).Udp(1000, 53, withoutChecksum: true).Payload(9).Build());
        Assert.Equal(0, BitConverter.ToUInt16(packet, 34 + 6));
        WireCheck.Of(packet).AssertIs(Client, 1000, "10.1.0.1", 53);
    }

    [Fact]
    public void Connections_stay_where_they_are_when_backends_come_and_go()
    {
        BackendModel[] backends = [EdgeBed.Backend("10.1.0.1", 80), EdgeBed.Backend("10.1.0.2", 80), EdgeBed.Backend("10.1.0.3", 80)];
        using var bed = new EdgeBed(prepare: s => s.Balancer.Apply([EdgeBed.Service("a", Vip, 80, IpProtocol.Tcp, backends)]));
        var homes = Enumerable.Range(1000, 60).ToDictionary(p => (ushort)p, p => Home(bed, (ushort)p, TcpFlags.Syn));
        Assert.Equal(3, homes.Values.Distinct().Count());

        bed.State.Balancer.Apply([EdgeBed.Service("a", Vip, 80, IpProtocol.Tcp, backends[0], backends[1] with { Drain = true }, EdgeBed.Backend("10.1.0.4", 80))]);
        Assert.All(homes, h => Assert.Equal(h.Value, Home(bed, h.Key, TcpFlags.Ack)));
        Assert.Equal(["10.1.0.1", "10.1.0.4"], Enumerable.Range(3000, 60).Select(p => Home(bed, (ushort)p, TcpFlags.Syn)).Distinct().Order());
    }

    [Fact]
    public void New_connections_follow_the_weights()
    {
        using var bed = new EdgeBed(EdgeBed.Small with { MaxConnections = 20000, RingSize = 4093 }, s => s.Balancer.Apply(
            [EdgeBed.Service("a", Vip, 80, IpProtocol.Tcp, EdgeBed.Backend("10.1.0.1", 80), EdgeBed.Backend("10.1.0.2", 80, 3))]));
        for (var i = 0; i < 4000; i++)
        {
            bed.Twin.Run(bed.Program, Packet(Client, (ushort)(1024 + i), Vip, 80, IpProtocol.Tcp, TcpFlags.Syn));
        }

        var traffic = bed.State.Balancer.Services[0].Backends.Select(b => bed.State.Balancer.TrafficOf(b.Id).Connections).ToArray();
        Assert.Equal(4000ul, traffic[0] + traffic[1]);
        Assert.InRange((int)traffic[0], 900, 1100);
    }

    [Fact]
    public void Of_two_backends_the_one_with_fewer_open_connections_for_its_weight_gets_the_next()
    {
        var policy = new ServicePolicy { Adaptive = new() };
        BackendModel[] backends = [.. Enumerable.Range(1, 4).Select(i => EdgeBed.Backend($"10.1.0.{i}", 80, i == 4 ? 2 : 1))];
        using var bed = new EdgeBed(EdgeBed.Small with { MaxConnections = 20000, RingSize = 4093 });
        bed.State.Balancer.Apply([EdgeBed.Service("a", Vip, 80, IpProtocol.Tcp, backends) with { Policy = policy }]);
        var homes = Enumerable.Range(1024, 2000).ToDictionary(p => (ushort)p, p => Home(bed, (ushort)p, TcpFlags.Syn));
        long[] Open() => [.. bed.State.Balancer.Services[0].Backends.Select(b => bed.State.Connections.OpenOf(b.Id))];
        // By chance alone they would scatter by twenty.
        Assert.All(Open().Zip([400, 400, 400, 800]), p => Assert.InRange(p.First, p.Second - 8, p.Second + 8));

        // All connections of one end: it catches up before the others get more than their part of what comes.
        foreach (var (port, _) in homes.Where(h => h.Value == "10.1.0.1"))
        {
            bed.Run(Packet(Client, port, Vip, 80, IpProtocol.Tcp, TcpFlags.Rst));
        }

        Assert.Equal(0, Open()[0]);
        var next = Enumerable.Range(10000, 400).CountBy(p => Home(bed, (ushort)p, TcpFlags.Syn)).ToDictionary();
        // Both choices fall on others in (4/5)^2 of the cases.
        Assert.InRange(next["10.1.0.1"], 110, 180);

        bed.State.Balancer.Apply([EdgeBed.Service("a", Vip, 80, IpProtocol.Tcp, backends)]);
        var single = Enumerable.Range(20000, 400).CountBy(p => Home(bed, (ushort)p, TcpFlags.Syn)).ToDictionary();
        Assert.InRange(single["10.1.0.1"], 50, 110);
    }

    [Fact]
    public void A_canary_is_not_compared_with_the_others()
    {
        using var bed = new EdgeBed(EdgeBed.Small with { MaxConnections = 20000, RingSize = 4093 });
        bed.State.Balancer.Apply([EdgeBed.Service(
            "a", Vip, 80, IpProtocol.Tcp, EdgeBed.Backend("10.1.0.1", 80, 99), EdgeBed.Backend("10.1.0.2", 80) with { Canary = true }) with { Policy = new() { Adaptive = new() } }]);
        for (var port = 1024; port < 6024; port++)
        {
            Home(bed, (ushort)port, TcpFlags.Syn);
            bed.Run(Packet("10.1.0.1", 80, Client, (ushort)port, IpProtocol.Tcp, TcpFlags.Rst));
        }

        Assert.InRange(bed.State.Balancer.TrafficOf(bed.State.Balancer.Services[0].Backends[1].Id).Connections, 35ul, 65ul);
    }

    [Fact]
    public void Traffic_is_counted_per_backend()
    {
        using var bed = new EdgeBed(prepare: s => s.Balancer.Apply([EdgeBed.Service("a", Vip, 80, IpProtocol.Tcp, EdgeBed.Backend("10.1.0.1", 80))]));
        var request = Packet(Client, 1000, Vip, 80, IpProtocol.Tcp);
        var answer = Packet("10.1.0.1", 80, Client, 1000, IpProtocol.Tcp);
        bed.Run(request);
        bed.Twin.Environment.CurrentCpu = 1;
        bed.Run(request);
        bed.Run(answer);
        var length = (ulong)request.Length;
        Assert.Equal(new BackendTraffic(1, 2, 2 * length, 1, length), bed.State.Balancer.TrafficOf(bed.State.Balancer.Services[0].Backends[0].Id));
    }

    [Fact]
    public void A_reset_closes_both_directions_and_a_new_SYN_chooses_anew()
    {
        using var bed = new EdgeBed(prepare: s => s.Balancer.Apply([EdgeBed.Service("a", Vip, 80, IpProtocol.Tcp, EdgeBed.Backend("10.1.0.1", 80))]));
        Assert.Equal("10.1.0.1", Home(bed, 1000, TcpFlags.Syn));
        bed.Run(Packet("10.1.0.1", 80, Client, 1000, IpProtocol.Tcp, TcpFlags.Rst));
        Assert.Equal(ConnectionEnd.Reset, Assert.Single(bed.State.Connections.List()).End);
        bed.State.Balancer.Apply([EdgeBed.Service("a", Vip, 80, IpProtocol.Tcp, EdgeBed.Backend("10.1.0.2", 80))]);
        Assert.Equal("10.1.0.1", Home(bed, 1000, TcpFlags.Ack));
        Assert.Equal("10.1.0.2", Home(bed, 1000, TcpFlags.Syn));
        Assert.Equal(ConnectionEnd.None, Assert.Single(bed.State.Connections.List()).End);
    }

    [Fact]
    public void Later_fragments_follow_the_first_and_reassemble_to_a_right_checksum()
    {
        using var bed = new EdgeBed(prepare: s => s.Balancer.Apply([EdgeBed.Service("a", Vip, 53, IpProtocol.Udp, EdgeBed.Backend("10.1.0.1", 5353))]));
        var whole = PacketBuilder.Ethernet().IPv4(Client, Vip, identification: 9).Udp(1000, 53).Payload(48).Build();
        var (_, expected) = bed.Run(whole);
        // Cut the datagram of 56 bytes into 32 and 24, as a router would.
        var first = PacketBuilder.Ethernet().IPv4(Client, Vip, identification: 9, moreFragments: true, protocol: IpProtocol.Udp).Payload(whole[34..66]).Build();
        var later = PacketBuilder.Ethernet().IPv4(Client, Vip, identification: 9, fragmentOffset: 32, protocol: IpProtocol.Udp).Payload(whole[66..]).Build();
        var (_, one) = bed.Run(first);
        var (verdict, two) = bed.Run(later);
        Assert.Equal(EdgeVerdict.FragmentForwarded, verdict);
        Assert.Equal(expected[34..], (byte[])[.. one[34..], .. two[34..]]);
        Assert.Equal(0, InternetChecksum.Compute(one.AsSpan(14, 20)).Value);
        Assert.Equal(0, InternetChecksum.Compute(two.AsSpan(14, 20)).Value);
        Assert.Equal(expected[30..34], two[30..34]);
    }

    [Fact]
    public void Packet_too_big_reaches_the_backend_that_sent_the_packet()
    {
        using var bed = new EdgeBed(prepare: s => s.Balancer.Apply([EdgeBed.Service("a", Vip, 80, IpProtocol.Tcp, EdgeBed.Backend("10.1.0.1", 8080))]));
        Home(bed, 1000, TcpFlags.Syn);
        var (verdict, packet) = bed.Run(PacketBuilder.Ethernet().IPv4("203.0.113.1", Vip).Icmp(3, 4, 1400)
            .Payload(PacketBuilder.Bare().IPv4(Vip, Client).Tcp(80, 1000).Payload(50)).Build());
        Assert.Equal(EdgeVerdict.IcmpForwarded, verdict);
        Assert.Equal(0, InternetChecksum.Compute(packet.AsSpan(14, 20)).Value);
        Assert.Equal(0, InternetChecksum.Compute(packet.AsSpan(34)).Value);
        Assert.Equal(0, InternetChecksum.Compute(packet.AsSpan(42, 20)).Value);
        Assert.Equal("10.1.0.1", IpAddress.FromBytes(packet.AsSpan(30, 4)).ToString());
        Assert.Equal("10.1.0.1", IpAddress.FromBytes(packet.AsSpan(54, 4)).ToString());
        Assert.Equal(NetworkUInt16.From(8080).Raw, BitConverter.ToUInt16(packet, 62));
    }

    [Fact]
    public void A_SYN_to_a_backend_that_is_gone_begins_anew_at_another()
    {
        using var bed = new EdgeBed(prepare: s => s.Balancer.Apply([EdgeBed.Service("a", Vip, 80, IpProtocol.Tcp, EdgeBed.Backend("10.1.0.1", 80))]));
        Assert.Equal("10.1.0.1", Home(bed, 1000, TcpFlags.Syn));
        bed.State.Balancer.Apply([EdgeBed.Service("a", Vip, 80, IpProtocol.Tcp, EdgeBed.Backend("10.1.0.2", 80))]);
        Assert.Equal("10.1.0.1", Home(bed, 1000, TcpFlags.Ack));
        Assert.Equal("10.1.0.2", Home(bed, 1000, TcpFlags.Syn));
        Assert.Equal("10.1.0.2", Home(bed, 1000, TcpFlags.Ack));
    }

    [Fact]
    public void A_client_port_taken_towards_a_backend_goes_to_another_backend()
    {
        BackendModel[] backends = [EdgeBed.Backend("10.1.0.1", 80), EdgeBed.Backend("10.1.0.2", 80), EdgeBed.Backend("10.1.0.3", 80)];
        using var bed = new EdgeBed(prepare: s => s.Balancer.Apply(
            [EdgeBed.Service("a", Vip, 80, IpProtocol.Tcp, backends), EdgeBed.Service("b", Vip, 81, IpProtocol.Tcp, backends)]));
        for (ushort port = 1000; port < 1060; port++)
        {
            var (_, one) = bed.Run(Packet(Client, port, Vip, 80, IpProtocol.Tcp, TcpFlags.Syn));
            var (verdict, two) = bed.Run(Packet(Client, port, Vip, 81, IpProtocol.Tcp, TcpFlags.Syn));
            Assert.Equal(EdgeVerdict.Forwarded, verdict);
            var (first, second) = (WireCheck.Of(one).Destination, WireCheck.Of(two).Destination);
            Assert.NotEqual(first, second);
            WireCheck.Of(bed.Run(Packet(first, 80, Client, port, IpProtocol.Tcp)).Packet).AssertIs(Vip, 80, Client, port);
            WireCheck.Of(bed.Run(Packet(second, 80, Client, port, IpProtocol.Tcp)).Packet).AssertIs(Vip, 81, Client, port);
        }
    }

    [Fact]
    public void The_end_of_an_old_connection_does_not_end_a_new_one_that_took_its_port()
    {
        var backend = EdgeBed.Backend("10.1.0.1", 80);
        using var bed = new EdgeBed(prepare: s => s.Balancer.Apply(
            [EdgeBed.Service("a", Vip, 80, IpProtocol.Tcp, backend), EdgeBed.Service("b", Vip, 81, IpProtocol.Tcp, backend)]));
        bed.Run(Packet(Client, 1000, Vip, 80, IpProtocol.Tcp, TcpFlags.Syn));
        bed.Run(Packet(Client, 1000, Vip, 80, IpProtocol.Tcp, TcpFlags.Rst));
        Assert.Equal(EdgeVerdict.Forwarded, bed.Verdict(Packet(Client, 1000, Vip, 81, IpProtocol.Tcp, TcpFlags.Syn)));
        bed.Run(Packet(Client, 1000, Vip, 80, IpProtocol.Tcp, TcpFlags.Rst));
        var entry = Assert.Single(bed.Connections.All);
        Assert.Equal((ConnectionEnd.None, 81), (entry.End, entry.VirtualPort.Value));
    }

    [Fact]
    public void Fragments_that_are_none_of_a_service_pass_to_its_address()
    {
        using var bed = new EdgeBed(prepare: s => s.Balancer.Apply(
            [EdgeBed.Service("a", Vip, 53, IpProtocol.Udp, EdgeBed.Backend("10.1.0.1", 53)), EdgeBed.Service("b", "2001:db8:f::1", 53, IpProtocol.Udp, EdgeBed.Backend("2001:db8::1", 53))]));
        var first = PacketBuilder.Ethernet().IPv4(Client, Vip, identification: 1, moreFragments: true);
        Assert.Equal(EdgeVerdict.Passed, bed.Verdict(first.Icmp(8).Payload(24).Build()));
        Assert.Equal(EdgeVerdict.Passed, bed.Verdict(Later(1, IpProtocol.Icmp)));
        Assert.Equal(EdgeVerdict.StrayFragment, bed.Verdict(Later(2, IpProtocol.Udp)));
        Assert.Equal(EdgeVerdict.Passed, bed.Verdict(PacketBuilder.Ethernet().IPv4(Client, Vip, identification: 2, moreFragments: true).Udp(1, 54).Payload(24).Build()));
        Assert.Equal(EdgeVerdict.Passed, bed.Verdict(Later(2, IpProtocol.Udp)));

        static byte[] Later(ushort id, IpProtocol protocol) =>
            PacketBuilder.Ethernet().IPv4(Client, Vip, identification: id, fragmentOffset: 32, protocol: protocol).Payload(8).Build();
    }

    [Fact]
    public void Later_IPv6_fragments_follow_a_first_one_with_more_extension_headers()
    {
        const string VipV6 = "2001:db8:f::1";
        using var bed = new EdgeBed(prepare: s => s.Balancer.Apply([EdgeBed.Service("b", VipV6, 53, IpProtocol.Udp, EdgeBed.Backend("2001:db8::1", 53))]));
        var packet = PacketBuilder.Ethernet().IPv6("2001:db8:c::1", VipV6);
        Assert.Equal(EdgeVerdict.Forwarded, bed.Verdict(packet.FragmentHeader(7, 0, true).Extension((IpProtocol)60).Udp(1000, 53).Payload(24).Build()));
        Assert.Equal(EdgeVerdict.FragmentForwarded, bed.Verdict(packet.FragmentHeader(7, 40, false, (IpProtocol)60).Payload(8).Build()));
    }

    [Fact]
    public void IPv6_packets_with_mapped_addresses_do_not_touch_IPv4_connections()
    {
        using var bed = new EdgeBed(prepare: s => s.Balancer.Apply([EdgeBed.Service("a", Vip, 80, IpProtocol.Tcp, EdgeBed.Backend("10.1.0.1", 80))]));
        Home(bed, 1000, TcpFlags.Syn);
        var forged = PacketBuilder.Ethernet().IPv6("2001:db8::5", "2001:db8::6").Tcp(1000, 80, TcpFlags.Rst).Build();
        Mapped(Client).CopyTo(forged, 22);
        Mapped(Vip).CopyTo(forged, 38);
        Assert.Equal(EdgeVerdict.Malformed, bed.Verdict(forged));
        Assert.Equal(ConnectionEnd.None, Assert.Single(bed.State.Connections.List()).End);

        static byte[] Mapped(string address)
        {
            var bytes = new byte[IpAddress.Size];
            IpAddress.Parse(address).WriteBytes(bytes);
            return bytes;
        }
    }

    private static string Home(EdgeBed bed, ushort port, TcpFlags flags)
    {
        var (verdict, packet) = bed.Run(Packet(Client, port, Vip, 80, IpProtocol.Tcp, flags));
        Assert.Equal(EdgeVerdict.Forwarded, verdict);
        return WireCheck.Of(packet).Destination;
    }

    private static byte[] Packet(string from, ushort fromPort, string to, ushort toPort, IpProtocol protocol, TcpFlags flags = TcpFlags.Ack)
    {
        var ip = from.Contains(':', StringComparison.Ordinal) ? PacketBuilder.Ethernet().IPv6(from, to) : PacketBuilder.Ethernet().IPv4(from, to);
        return (protocol == IpProtocol.Tcp ? ip.Tcp(fromPort, toPort, flags) : ip.Udp(fromPort, toPort)).Payload(11).Build();
    }
}
