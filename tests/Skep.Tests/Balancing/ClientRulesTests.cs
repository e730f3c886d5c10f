using Skep.Balancing;
using Skep.Edge;
using Skep.Packets;
using Skep.Tests.Edge;

namespace Skep.Tests.Balancing;

/// <summary>Affinity by client, source ranges and ranges of ports of services that rewrite.</summary>
public sealed class ClientRulesTests
{
    private const string Vip = "198.51.100.1", Vip6 = "2001:db8:f::1";

    private static readonly BackendModel[] s_backends = [.. Enumerable.Range(1, 5).Select(i => EdgeBed.Backend($"10.1.0.{i}", 8080))];
    private static readonly BackendModel[] s_backends6 = [.. Enumerable.Range(1, 5).Select(i => EdgeBed.Backend($"2001:db8:b::{i}", 8080))];

    [Theory]
    [InlineData(IpProtocol.Tcp, "192.0.2.10", "192.0.2.77", "192.0.3.10", 24)]
    [InlineData(IpProtocol.Udp, "192.0.2.10", "192.0.2.77", "192.0.3.10", 24)]
    [InlineData(IpProtocol.Tcp, "2001:db8:c::1", "2001:db8:c:1::2", "2001:db8:d::1", 48)]
    public void All_connections_of_a_prefix_go_to_one_backend_and_stay_there_while_it_takes_connections(IpProtocol protocol, string client, string neighbour, string other, int bits)
    {
        var isIPv6 = client.Contains(':', StringComparison.Ordinal);
        var backends = isIPv6 ? s_backends6 : s_backends;
        ServiceModel Service(params BackendModel[] members) => EdgeBed.Service("a", isIPv6 ? Vip6 : Vip, 80, protocol, members) with { ClientPrefix = bits };
        using var bed = Bed(Service(backends));
        var homes = Homes(client, 1000).Concat(Homes(neighbour, 1000)).Distinct().ToArray();
        var home = Assert.Single(homes);

        // The ring is another now; the client is remembered. Many others are spread.
        var more = isIPv6 ? EdgeBed.Backend("2001:db8:b::99", 8080, 500) : EdgeBed.Backend("10.1.0.99", 8080, 500);
        bed.State.Balancer.Apply([Service([.. backends, more])]);
        Assert.Equal([home], Homes(client, 2000).Distinct());
        Assert.NotEqual([home], Homes(other, 1000).Distinct());

        // Drained: it keeps what it has and gets nothing new.
        bed.State.Balancer.Apply([Service([.. backends.Select(b => b.Address.ToString() == home ? b with { Drain = true } : b), more])]);
        Assert.Equal([home], Homes(client, 2000, TcpFlags.Ack).Distinct());
        var moved = Assert.Single(Homes(client, 3000).Distinct());
        Assert.NotEqual(home, moved);

        // And stays where it went when the first one comes back.
        bed.State.Balancer.Apply([Service([.. backends, more])]);
        Assert.Equal([moved], Homes(client, 4000).Distinct());

        IEnumerable<string> Homes(string from, ushort firstPort, TcpFlags flags = TcpFlags.Syn) =>
            [.. Enumerable.Range(firstPort, 20).Select(p => WireCheck.Of(Forwarded(bed, Packet(from, (ushort)p, isIPv6 ? Vip6 : Vip, 80, protocol, flags))).Destination)];
    }

    [Theory]
    [InlineData(IpProtocol.Tcp)]
    [InlineData(IpProtocol.Udp)]
    public void Only_listed_sources_may_begin_connections(IpProtocol protocol)
    {
        var service = EdgeBed.Service("a", Vip, 80, protocol, s_backends) with { SourceRanges = [IpPrefix.Parse("192.0.2.0/24")] };
        var service6 = EdgeBed.Service("a", Vip6, 80, protocol, s_backends6) with { SourceRanges = [IpPrefix.Parse("2001:db8:c::/48")] };
        using var bed = Bed(service, service6);
        Forwarded(bed, Packet("192.0.2.10", 1000, Vip, 80, protocol, TcpFlags.Syn));
        Forwarded(bed, Packet("2001:db8:c::1", 1000, Vip6, 80, protocol, TcpFlags.Syn));
        Assert.Equal(EdgeVerdict.SourceRefused, bed.Verdict(Packet("192.0.3.10", 1000, Vip, 80, protocol, TcpFlags.Syn)));
        Assert.Equal(EdgeVerdict.SourceRefused, bed.Verdict(Packet("2001:db8:d::1", 1000, Vip6, 80, protocol, TcpFlags.Syn)));

        // Other ranges: what there is goes on, what begins is judged anew.
        bed.State.Balancer.Apply([service with { SourceRanges = [IpPrefix.Parse("192.0.3.0/24")] }, service6]);
        Forwarded(bed, Packet("192.0.2.10", 1000, Vip, 80, protocol, TcpFlags.Ack));
        Forwarded(bed, Packet("192.0.3.10", 1000, Vip, 80, protocol, TcpFlags.Syn));
        Assert.Equal(EdgeVerdict.SourceRefused, bed.Verdict(Packet("192.0.2.10", 1001, Vip, 80, protocol, TcpFlags.Syn)));

        bed.State.Balancer.Apply([]);
        Assert.Empty(bed.Maps.Balancing.Direct.Sources.Keys);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_range_keeps_the_port_and_a_single_port_goes_before_it(bool isIPv6)
    {
        var (vip, client, backend, single) = isIPv6 ? (Vip6, "2001:db8:c::1", "2001:db8:b::1", "2001:db8:b::2") : (Vip, "192.0.2.10", "10.1.0.1", "10.1.0.2");
        ServiceModel[] services =
        [
            EdgeBed.Service("range", vip, 5000, IpProtocol.Tcp, EdgeBed.Backend(backend, 0)) with { LastPort = 5999 },
            EdgeBed.Service("single", vip, 5100, IpProtocol.Tcp, EdgeBed.Backend(single, 80)),
            EdgeBed.Service("other", vip, 7000, IpProtocol.Tcp, EdgeBed.Backend(single, 0)) with { LastPort = 7001 },
            EdgeBed.Service("all", vip, 0, IpProtocol.Udp, EdgeBed.Backend(backend, 0)) with { LastPort = ushort.MaxValue },
        ];
        using var bed = Bed(services);
        Check(backend);

        // Another agent, and one range fewer.
        var next = new EdgeState(bed.Maps, TimeProvider.System);
        Assert.Empty(next.Balancer.Apply([.. services.Select(s => s with { Name = "b" })]));
        Check(backend);
        Assert.Empty(next.Balancer.Apply(services[1..]));
        Assert.Equal(EdgeVerdict.Passed, bed.Verdict(Packet(client, 3000, vip, 5001, IpProtocol.Tcp, TcpFlags.Syn)));
        WireCheck.Of(Forwarded(bed, Packet(client, 3000, vip, 7001, IpProtocol.Tcp, TcpFlags.Syn))).AssertIs(client, 3000, single, 7001);
        next.Balancer.Apply([]);
        Assert.DoesNotContain(bed.Maps.Balancing.Direct.Vips.Entries.ToArray(), v => v.Key != 0);

        void Check(string home)
        {
            foreach (ushort port in new[] { 5000, 5001, 5999 })
            {
                WireCheck.Of(Forwarded(bed, Packet(client, 1000, vip, port, IpProtocol.Tcp, TcpFlags.Syn))).AssertIs(client, 1000, home, port);
                var (verdict, answer) = bed.Run(Packet(home, port, client, 1000, IpProtocol.Tcp));
                Assert.Equal(EdgeVerdict.Replied, verdict);
                WireCheck.Of(answer).AssertIs(vip, port, client, 1000);
            }

            WireCheck.Of(Forwarded(bed, Packet(client, 1000, vip, 5100, IpProtocol.Tcp, TcpFlags.Syn))).AssertIs(client, 1000, single, 80);
            WireCheck.Of(Forwarded(bed, Packet(client, 1000, vip, 7001, IpProtocol.Tcp, TcpFlags.Syn))).AssertIs(client, 1000, single, 7001);
            WireCheck.Of(Forwarded(bed, Packet(client, 1000, vip, 9, IpProtocol.Udp))).AssertIs(client, 1000, home, 9);
            Assert.Equal(EdgeVerdict.Passed, bed.Verdict(Packet(client, 1000, vip, 6000, IpProtocol.Tcp, TcpFlags.Syn)));
            Assert.Equal(EdgeVerdict.Passed, bed.Verdict(Packet(client, 1000, vip, 4999, IpProtocol.Tcp, TcpFlags.Syn)));
        }
    }

    [Fact]
    public void A_service_may_change_between_its_ways_and_what_it_asks_of_clients_changes_with_it()
    {
        var rewriting = EdgeBed.Service("a", Vip, 80, IpProtocol.Udp, EdgeBed.Backend("10.1.0.1", 0)) with { LastPort = 99, SourceRanges = [IpPrefix.Parse("192.0.2.0/24")] };
        var direct = rewriting with { Forwarding = ForwardingMode.IpIp, Backends = [EdgeBed.Backend("10.1.0.1", 80)] };
        using var bed = Bed(rewriting);
        for (var i = 0; i < 2; i++)
        {
            bed.State.Balancer.SetNextHops(new Dictionary<IpAddress, BackendPath> { [IpAddress.Parse("10.1.0.1")] = new(IpAddress.Parse("10.1.0.254"), 1500, 1) });
            Assert.Empty(bed.State.Balancer.Apply([direct]));
            Assert.Single(bed.Maps.Balancing.Direct.Sources.Keys);
            Assert.Equal(EdgeVerdict.Passed, bed.Verdict(Packet("192.0.2.10", 1000, Vip, 85, IpProtocol.Udp)));
            Assert.Empty(bed.State.Balancer.Apply([rewriting with { Name = $"{i}" }]));
            Assert.Single(bed.Maps.Balancing.Direct.Sources.Keys);
            Forwarded(bed, Packet("192.0.2.10", (ushort)(2000 + i), Vip, 85, IpProtocol.Udp));
            Assert.Equal(EdgeVerdict.SourceRefused, bed.Verdict(Packet("192.0.3.10", 1000, Vip, 85, IpProtocol.Udp)));
            bed.State.Connections.Cut(bed.State.Balancer.Services[0].Backends[0].Id);
        }
    }

    [Fact]
    public void What_is_explained_is_what_happens()
    {
        using var bed = Bed(EdgeBed.Service("a", Vip, 80, IpProtocol.Tcp, s_backends) with { ClientPrefix = 24, SourceRanges = [IpPrefix.Parse("192.0.2.0/24")] });
        var said = Explain("192.0.2.10");
        Assert.Contains(said.Steps, s => s.Contains("24 bits", StringComparison.Ordinal));
        Assert.Equal(said.Backend!.Address.ToString(), WireCheck.Of(Forwarded(bed, Packet("192.0.2.10", 1000, Vip, 80, IpProtocol.Tcp, TcpFlags.Syn))).Destination);
        Assert.Contains("not among the sources", Explain("192.0.3.10").Steps[^1], StringComparison.Ordinal);
        Assert.Null(Explain("192.0.3.10").Backend);

        Explanation Explain(string client) => bed.State.Explainer.Explain(IpAddress.Parse(client), 1000, IpAddress.Parse(Vip), 80, IpProtocol.Tcp);
    }

    private static byte[] Forwarded(EdgeBed bed, byte[] frame)
    {
        var (verdict, packet) = bed.Run(frame);
        Assert.Equal(EdgeVerdict.Forwarded, verdict);
        return packet;
    }

    private static EdgeBed Bed(params ServiceModel[] services) => new(
        EdgeBed.Small with { MaxConnections = 4096, RingSize = 4093, RingRows = 16384, Features = ServiceFlags.ByClient | ServiceFlags.Restricted | ServiceFlags.Ranged },
        s => Assert.Empty(s.Balancer.Apply(services)));

    private static byte[] Packet(string from, ushort fromPort, string to, ushort toPort, IpProtocol protocol, TcpFlags flags = TcpFlags.Ack)
    {
        var ip = from.Contains(':', StringComparison.Ordinal) ? PacketBuilder.Ethernet().IPv6(from, to) : PacketBuilder.Ethernet().IPv4(from, to);
        return (protocol == IpProtocol.Tcp ? ip.Tcp(fromPort, toPort, flags) : ip.Udp(fromPort, toPort)).Payload(11).Build();
    }
}
