using Skep.Balancing;
using Skep.Edge;
using Skep.Packets;
using Skep.Tests.Edge;

namespace Skep.Tests.Balancing.Translation;

public sealed class SourceTranslationTests
{
    private const ushort FirstPort = 2000, LastPort = 2999;

    public static TheoryData<IpProtocol, bool> Kinds => new()
    {
        { IpProtocol.Tcp, false }, { IpProtocol.Udp, false }, { IpProtocol.Tcp, true }, { IpProtocol.Udp, true },
    };

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Backends_see_an_own_address_and_clients_the_virtual_one(IpProtocol protocol, bool isIPv6)
    {
        var place = new Place(isIPv6);
        using var bed = Bed(place, protocol);
        var (verdict, request) = bed.Run(place.Packet(place.Client, 40000, place.Vip, 80, protocol));
        Assert.Equal(EdgeVerdict.Forwarded, verdict);
        var port = WireCheck.Of(request).SourcePort;
        Assert.InRange(port, FirstPort, LastPort);
        WireCheck.Of(request).AssertIs(place.Own, port, place.Backend, 8080);

        (verdict, var answer) = bed.Run(place.Packet(place.Backend, 8080, place.Own, port, protocol));
        Assert.Equal(EdgeVerdict.Replied, verdict);
        WireCheck.Of(answer).AssertIs(place.Vip, 80, place.Client, 40000);
        WireCheck.Of(bed.Run(place.Packet(place.Client, 40000, place.Vip, 80, protocol)).Packet).AssertIs(place.Own, port, place.Backend, 8080);

        var listed = Assert.Single(bed.State.Connections.List());
        Assert.Equal((place.Client, place.Vip, place.Backend), (listed.Client.ToString(), listed.Service.ToString(), listed.Backend.ToString()));
        Assert.Equal((IpAddress.Parse(place.Own), port), listed.SeenAs);

        // Both ways a packet is found by what it looks like after the rewriting.
        Assert.Equal(listed, bed.State.Connections.FindRewritten(IpAddress.Parse(place.Own), port, listed.Backend, 8080, protocol));
        Assert.Equal(listed, bed.State.Connections.FindRewritten(listed.Service, 80, listed.Client, 40000, protocol));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void No_two_connections_share_a_port_towards_a_backend_and_the_last_ones_find_none(IpProtocol protocol, bool isIPv6)
    {
        var place = new Place(isIPv6);
        using var bed = Bed(place, protocol, t => t with { LastPort = FirstPort + 99 }, connections: 4096);
        var ports = new HashSet<ushort>();
        var exhausted = 0;
        for (ushort client = 1000; client < 1300; client++)
        {
            var (verdict, packet) = bed.Run(place.Packet(place.Client, client, place.Vip, 80, protocol, TcpFlags.Syn));
            if (verdict == EdgeVerdict.Forwarded)
            {
                Assert.True(ports.Add(WireCheck.Of(packet).SourcePort));
            }
            else
            {
                Assert.Equal(EdgeVerdict.PortsExhausted, verdict);
                exhausted++;
            }
        }

        Assert.Equal(300, ports.Count + exhausted);
        Assert.InRange(ports.Count, 97, 100);
        Assert.All(ports, p => Assert.InRange(p, FirstPort, FirstPort + 99));
        Assert.Equal((ulong)exhausted, bed.State.ReadCounters()[EdgeVerdict.PortsExhausted].Packets);
    }

    [Fact]
    public void A_port_is_used_again_for_another_backend_and_another_own_address_doubles_the_ports()
    {
        var place = new Place(false);
        using var bed = Bed(
            place, IpProtocol.Tcp, t => t with { LastPort = FirstPort + 9, Addresses = [.. t.Addresses, IpAddress.Parse("10.1.0.252")] }, connections: 4096,
            more: EdgeBed.Backend("10.1.0.2", 8080));
        var seen = new HashSet<(string, ushort, string)>();
        for (ushort client = 1000; client < 1400; client++)
        {
            var (verdict, packet) = bed.Run(place.Packet(place.Client, client, place.Vip, 80, IpProtocol.Tcp, TcpFlags.Syn));
            if (verdict == EdgeVerdict.Forwarded)
            {
                var wire = WireCheck.Of(packet);
                Assert.True(seen.Add((wire.Source, wire.SourcePort, wire.Destination)));
            }
        }

        // Two addresses, ten ports, two backends.
        Assert.InRange(seen.Count, 38, 40);
    }

    [Fact]
    public void A_closed_connection_gives_its_port_back_when_no_other_is_free()
    {
        var place = new Place(false);
        using var bed = Bed(place, IpProtocol.Tcp, t => t with { LastPort = FirstPort });
        var port = Open(bed, place, 1000);
        Assert.Equal(EdgeVerdict.PortsExhausted, bed.Verdict(place.Packet(place.Client, 1001, place.Vip, 80, IpProtocol.Tcp, TcpFlags.Syn)));
        bed.Run(place.Packet(place.Client, 1000, place.Vip, 80, IpProtocol.Tcp, TcpFlags.Rst));
        Assert.Equal(port, Open(bed, place, 1001));
        WireCheck.Of(bed.Run(place.Packet(place.Backend, 8080, place.Own, port, IpProtocol.Tcp)).Packet).AssertIs(place.Vip, 80, place.Client, 1001);
    }

    [Fact]
    public void A_client_that_begins_anew_from_the_same_port_keeps_its_own_one()
    {
        var place = new Place(false);
        using var bed = Bed(place, IpProtocol.Tcp);
        var port = Open(bed, place, 1000);
        bed.Run(place.Packet(place.Client, 1000, place.Vip, 80, IpProtocol.Tcp, TcpFlags.Rst));
        Assert.Equal(port, Open(bed, place, 1000));
        Assert.Equal([ConnectionKind.Translated, ConnectionKind.Alias], bed.Connections.All.Select(c => c.Kind).Order());
    }

    [Theory]
    [InlineData(ConnectionKind.Translated)]
    [InlineData(ConnectionKind.Alias)]
    public void What_lost_its_other_half_is_as_good_as_absent_and_swept(ConnectionKind lost)
    {
        var place = new Place(false);
        using var bed = Bed(place, IpProtocol.Tcp);
        var port = Open(bed, place, 1000);
        bed.Connections.Lose(lost);
        Assert.Equal(EdgeVerdict.Passed, bed.Verdict(place.Packet(place.Backend, 8080, place.Own, port, IpProtocol.Tcp)));
        Assert.Null(bed.State.Connections.FindRewritten(IpAddress.Parse(place.Vip), 80, IpAddress.Parse(place.Client), 1000, IpProtocol.Tcp));
        Assert.Single(bed.Connections.All);
        bed.State.Connections.Tick(3);
        bed.State.Connections.Sweep();
        Assert.Empty(bed.Connections.All);

        // Nobody is in the way of the next one.
        port = Open(bed, place, 1000);
        WireCheck.Of(bed.Run(place.Packet(place.Backend, 8080, place.Own, port, IpProtocol.Tcp)).Packet).AssertIs(place.Vip, 80, place.Client, 1000);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_backend_reaches_itself_through_the_service(bool isIPv6)
    {
        var place = new Place(isIPv6);
        using var bed = Bed(place, IpProtocol.Tcp, t => t with { OnlyBackends = true });
        var (verdict, request) = bed.Run(place.Packet(place.Backend, 5000, place.Vip, 80, IpProtocol.Tcp, TcpFlags.Syn));
        Assert.Equal(EdgeVerdict.Forwarded, verdict);
        var port = WireCheck.Of(request).SourcePort;
        WireCheck.Of(request).AssertIs(place.Own, port, place.Backend, 8080);
        WireCheck.Of(bed.Run(place.Packet(place.Backend, 8080, place.Own, port, IpProtocol.Tcp)).Packet).AssertIs(place.Vip, 80, place.Backend, 5000);

        // Others keep their addresses.
        WireCheck.Of(bed.Run(place.Packet(place.Client, 5000, place.Vip, 80, IpProtocol.Tcp, TcpFlags.Syn)).Packet).AssertIs(place.Client, 5000, place.Backend, 8080);

        // One that is no backend any more does too.
        bed.State.Balancer.Apply([Service(place, IpProtocol.Tcp, t => t with { OnlyBackends = true }, EdgeBed.Backend(isIPv6 ? "2001:db8:b::9" : "10.1.0.9", 8080))]);
        WireCheck.Of(bed.Run(place.Packet(place.Backend, 5001, place.Vip, 80, IpProtocol.Tcp, TcpFlags.Syn)).Packet)
            .AssertIs(place.Backend, 5001, isIPv6 ? "2001:db8:b::9" : "10.1.0.9", 8080);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Errors_about_either_direction_reach_the_end_they_concern(bool isIPv6)
    {
        var place = new Place(isIPv6);
        using var bed = Bed(place, IpProtocol.Udp);
        var port = WireCheck.Of(bed.Run(place.Packet(place.Client, 1000, place.Vip, 80, IpProtocol.Udp)).Packet).SourcePort;

        // About what the backend was sent, by the backend itself and by a router before it.
        foreach (var (speaker, shown) in new[] { (place.Backend, place.Vip), (place.Router, place.Router) })
        {
            var (verdict, packet) = bed.Run(place.Error(speaker, place.Own, (place.Own, port, place.Backend, 8080)));
            Assert.Equal(EdgeVerdict.IcmpForwarded, verdict);
            Assert.Equal(place.Error(shown, place.Client, (place.Client, 1000, place.Vip, 80)), packet);
        }

        // About what the client was sent.
        foreach (var (speaker, shown) in new[] { (place.Client, place.Own), (place.Router, place.Router) })
        {
            var (verdict, packet) = bed.Run(place.Error(speaker, place.Vip, (place.Vip, 80, place.Client, 1000)));
            Assert.Equal(EdgeVerdict.IcmpForwarded, verdict);
            Assert.Equal(place.Error(shown, place.Backend, (place.Backend, 8080, place.Own, port)), packet);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Fragments_follow_their_first_one_with_both_addresses(bool isIPv6)
    {
        var place = new Place(isIPv6);
        using var bed = Bed(place, IpProtocol.Udp);
        var request = place.Fragments(place.Client, 1000, place.Vip, 80).Select(f => bed.Run(f)).ToArray();
        Assert.Equal([EdgeVerdict.Forwarded, EdgeVerdict.FragmentForwarded], request.Select(r => r.Verdict));
        var port = place.PortsOf(request[0].Packet).Source;
        Assert.All(request, r => Assert.Equal((place.Own, place.Backend), place.AddressesOf(r.Packet)));
        var whole = bed.Run(place.Packet(place.Client, 1000, place.Vip, 80, IpProtocol.Udp, payload: 48)).Packet;
        Assert.Equal(place.TransportOf(whole), (byte[])[.. place.TransportOf(request[0].Packet), .. place.TransportOf(request[1].Packet)]);

        var answer = place.Fragments(place.Backend, 8080, place.Own, port).Select(f => bed.Run(f)).ToArray();
        Assert.Equal([EdgeVerdict.Replied, EdgeVerdict.FragmentForwarded], answer.Select(r => r.Verdict));
        Assert.All(answer, r => Assert.Equal((place.Vip, place.Client), place.AddressesOf(r.Packet)));
    }

    [Fact]
    public void Connections_survive_that_their_service_translates_no_more_and_the_addresses_are_kept_for_them()
    {
        var place = new Place(false);
        using var bed = Bed(place, IpProtocol.Tcp);
        var port = Open(bed, place, 1000);
        bed.State.Balancer.Apply([EdgeBed.Service("a", place.Vip, 80, IpProtocol.Tcp, EdgeBed.Backend(place.Backend, 8080))]);
        Assert.False(bed.State.Balancer.ReleaseAddresses());
        Assert.True(bed.State.Balancer.TranslatesSources);
        WireCheck.Of(bed.Run(place.Packet(place.Backend, 8080, place.Own, port, IpProtocol.Tcp)).Packet).AssertIs(place.Vip, 80, place.Client, 1000);
        WireCheck.Of(bed.Run(place.Packet(place.Client, 1001, place.Vip, 80, IpProtocol.Tcp, TcpFlags.Syn)).Packet).AssertIs(place.Client, 1001, place.Backend, 8080);

        bed.State.Connections.Tick(10_000);
        Assert.Equal(2, bed.State.Connections.Sweep());
        Assert.Empty(bed.Connections.All);
        Assert.True(bed.State.Balancer.ReleaseAddresses());
        Assert.False(bed.State.Balancer.TranslatesSources);
    }

    [Fact]
    public void Another_agent_takes_the_addresses_over()
    {
        var place = new Place(false);
        using var bed = Bed(place, IpProtocol.Tcp, t => t with { OnlyBackends = true });
        var (_, request) = bed.Run(place.Packet(place.Backend, 5000, place.Vip, 80, IpProtocol.Tcp, TcpFlags.Syn));
        var next = new EdgeState(bed.Maps, TimeProvider.System);
        Assert.True(next.Balancer.TranslatesSources);
        Assert.Empty(next.Balancer.Apply([Service(place, IpProtocol.Tcp, t => t with { OnlyBackends = true })]));
        Assert.Single(bed.Maps.Balancing.Direct.Sources.Keys);
        WireCheck.Of(bed.Run(place.Packet(place.Backend, 5000, place.Vip, 80, IpProtocol.Tcp)).Packet)
            .AssertIs(place.Own, WireCheck.Of(request).SourcePort, place.Backend, 8080);
        next.Balancer.Apply([]);
        Assert.Empty(bed.Maps.Balancing.Direct.Sources.Keys);
    }

    [Fact]
    public void What_is_explained_names_the_address_that_the_backend_sees()
    {
        var place = new Place(false);
        using var bed = Bed(place, IpProtocol.Tcp);
        Assert.Contains("port 2000 to 2999 of 10.1.0.253", Explain().Steps[^1], StringComparison.Ordinal);
        var port = Open(bed, place, 1000);
        Assert.Contains(Explain().Steps, s => s.Contains($"coming from 10.1.0.253:{port},", StringComparison.Ordinal));

        bed.State.Balancer.Apply([EdgeBed.Service("a", place.Vip, 80, IpProtocol.Tcp, EdgeBed.Backend(place.Backend, 8080))]);
        var own = bed.State.Explainer.Explain(IpAddress.Parse(place.Backend), 1, IpAddress.Parse(place.Vip), 80, IpProtocol.Tcp);
        Assert.Contains("'sourceTranslation' makes it work", own.Steps[^1], StringComparison.Ordinal);

        Explanation Explain() => bed.State.Explainer.Explain(IpAddress.Parse(place.Client), 1000, IpAddress.Parse(place.Vip), 80, IpProtocol.Tcp);
    }

    private static ushort Open(EdgeBed bed, Place place, ushort client)
    {
        var (verdict, packet) = bed.Run(place.Packet(place.Client, client, place.Vip, 80, IpProtocol.Tcp, TcpFlags.Syn));
        Assert.Equal(EdgeVerdict.Forwarded, verdict);
        return WireCheck.Of(packet).SourcePort;
    }

    private static EdgeBed Bed(
        Place place, IpProtocol protocol, Func<SourceTranslation, SourceTranslation>? change = null, uint connections = 256, params BackendModel[] more) => new(
            EdgeBed.Small with { TranslateSources = true, MaxConnections = connections },
            s => Assert.Empty(s.Balancer.Apply([Service(place, protocol, change ?? (t => t), [EdgeBed.Backend(place.Backend, 8080), .. more])])));

    private static ServiceModel Service(Place place, IpProtocol protocol, Func<SourceTranslation, SourceTranslation> change, params BackendModel[] backends) =>
        EdgeBed.Service("a", place.Vip, 80, protocol, backends.Length > 0 ? backends : [EdgeBed.Backend(place.Backend, 8080)]) with
        {
            SourceTranslation = change(new SourceTranslation([IpAddress.Parse(place.Own)]) { FirstPort = FirstPort, LastPort = LastPort }),
        };

    /// <summary>Addresses of one family, and packets between them.</summary>
    private sealed record Place(bool IsIPv6)
    {
        public string Client => IsIPv6 ? "2001:db8:c::1" : "192.0.2.10";

        public string Vip => IsIPv6 ? "2001:db8:f::1" : "198.51.100.1";

        public string Backend => IsIPv6 ? "2001:db8:b::1" : "10.1.0.1";

        public string Own => IsIPv6 ? "2001:db8:b::fd" : "10.1.0.253";

        public string Router => IsIPv6 ? "2001:db8::1" : "203.0.113.1";

        private int Network => 14;

        private int Transport(byte[] frame) => Network + (IsIPv6 ? 40 + (frame[Network + 6] == 44 ? 8 : 0) : 20);

        public byte[] Packet(string from, ushort fromPort, string to, ushort toPort, IpProtocol protocol, TcpFlags flags = TcpFlags.Ack, int payload = 11)
        {
            var ip = IsIPv6 ? PacketBuilder.Ethernet().IPv6(from, to) : PacketBuilder.Ethernet().IPv4(from, to);
            return (protocol == IpProtocol.Tcp ? ip.Tcp(fromPort, toPort, flags) : ip.Udp(fromPort, toPort)).Payload(payload).Build();
        }

        public byte[] Error(string from, string to, (string From, ushort FromPort, string To, ushort ToPort) about)
        {
            var bare = IsIPv6 ? PacketBuilder.Bare().IPv6(about.From, about.To) : PacketBuilder.Bare().IPv4(about.From, about.To);
            // Without the checksum of the packet it is about, which nobody mends: nobody looks at it.
            var embedded = bare.Udp(about.FromPort, about.ToPort, withoutChecksum: true).Payload(8);
            return IsIPv6 ? PacketBuilder.Ethernet().IPv6(from, to).Icmp(1, 4).Payload(embedded).Build() : PacketBuilder.Ethernet().IPv4(from, to).Icmp(3, 3).Payload(embedded).Build();
        }

        public byte[][] Fragments(string from, ushort fromPort, string to, ushort toPort)
        {
            var datagram = TransportOf(Packet(from, fromPort, to, toPort, IpProtocol.Udp, payload: 48));
            return IsIPv6
                ? [
                    PacketBuilder.Ethernet().IPv6(from, to).FragmentHeader(7, 0, true, IpProtocol.Udp).Payload(datagram[..32]).Build(),
                    PacketBuilder.Ethernet().IPv6(from, to).FragmentHeader(7, 32, false, IpProtocol.Udp).Payload(datagram[32..]).Build(),
                ]
                : [
                    PacketBuilder.Ethernet().IPv4(from, to, identification: 9, moreFragments: true, protocol: IpProtocol.Udp).Payload(datagram[..32]).Build(),
                    PacketBuilder.Ethernet().IPv4(from, to, identification: 9, fragmentOffset: 32, protocol: IpProtocol.Udp).Payload(datagram[32..]).Build(),
                ];
        }

        public byte[] TransportOf(byte[] frame) => frame[Transport(frame)..];

        public (ushort Source, ushort Destination) PortsOf(byte[] frame)
        {
            var at = Transport(frame);
            return ((ushort)((frame[at] << 8) | frame[at + 1]), (ushort)((frame[at + 2] << 8) | frame[at + 3]));
        }

        public (string Source, string Destination) AddressesOf(byte[] frame)
        {
            var (at, size) = IsIPv6 ? (Network + 8, 16) : (Network + 12, 4);
            return (IpAddress.FromBytes(frame.AsSpan(at, size)).ToString(), IpAddress.FromBytes(frame.AsSpan(at + size, size)).ToString());
        }
    }
}
