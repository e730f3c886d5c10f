using Skep.Balancing;
using Skep.Bpf.Programming;
using Skep.Edge;
using Skep.Packets;
using Skep.Tests.Edge;

namespace Skep.Tests.Balancing;

/// <summary>Limits of services, by rewriting and by direct return, with the kernel's ticks for a clock and with the fine one.</summary>
public sealed class ServiceLimitTests
{
    private const string Vip = "198.51.100.1", Other = "198.51.100.2";

    public static TheoryData<ForwardingMode, bool> Ways => new() { { ForwardingMode.Nat, false }, { ForwardingMode.Nat, true }, { ForwardingMode.IpIp, false }, { ForwardingMode.IpIp, true } };

    [Theory]
    [MemberData(nameof(Ways))]
    public void New_connections_beyond_the_limit_are_dropped_and_established_ones_go_on(ForwardingMode way, bool fineClock)
    {
        using var bed = Bed(way, fineClock);
        Apply(bed, way, new ServiceRate(10, 5), null);
        Assert.Equal(5, Enumerable.Range(1000, 20).Count(p => bed.Verdict(Tcp(p, TcpFlags.Syn)) == EdgeVerdict.Forwarded));
        Assert.All(Enumerable.Range(1000, 5), p => Assert.Equal(EdgeVerdict.Forwarded, bed.Verdict(Tcp(p, TcpFlags.Ack))));
        Assert.Equal(EdgeVerdict.ServiceLimited, bed.Verdict(Tcp(2000, TcpFlags.Syn)));
        Assert.Equal(EdgeVerdict.Forwarded, bed.Verdict(Tcp(2000, TcpFlags.Syn, Other)));
        bed.Twin.Environment.Advance(TimeSpan.FromMilliseconds(201));
        Assert.Equal((EdgeVerdict.Forwarded, EdgeVerdict.Forwarded, EdgeVerdict.ServiceLimited), (bed.Verdict(Tcp(2001, TcpFlags.Syn)), bed.Verdict(Tcp(2002, TcpFlags.Syn)), bed.Verdict(Tcp(2003, TcpFlags.Syn))));
        var id = bed.State.Balancer.Services.Single(s => s.Model.Address == IpAddress.Parse(Vip)).Id;
        Assert.Equal((17ul, 0ul), bed.State.Balancer.RefusedOf(id));
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public void Packets_beyond_the_limit_are_dropped_whatever_connection_they_are_of(ForwardingMode way, bool fineClock)
    {
        using var bed = Bed(way, fineClock);
        Apply(bed, way, null, new ServiceRate(100, 50));
        Assert.Equal(EdgeVerdict.Forwarded, bed.Verdict(Tcp(1000, TcpFlags.Syn)));
        Assert.Equal(49, Enumerable.Range(0, 100).Count(_ => bed.Verdict(Tcp(1000, TcpFlags.Ack)) == EdgeVerdict.Forwarded));
        Assert.Equal(EdgeVerdict.ServiceLimited, bed.Verdict(Tcp(1001, TcpFlags.Syn)));
        Assert.All(Enumerable.Range(0, 100), p => Assert.Equal(EdgeVerdict.Forwarded, bed.Verdict(Tcp(p, TcpFlags.Syn, Other))));
        bed.Twin.Environment.Advance(TimeSpan.FromSeconds(3));
        Assert.Equal(50, Enumerable.Range(0, 100).Count(_ => bed.Verdict(Tcp(1000, TcpFlags.Ack)) == EdgeVerdict.Forwarded));
    }

    [Fact]
    public void A_flow_of_datagrams_is_one_connection()
    {
        using var bed = Bed(ForwardingMode.IpIp, fineClock: false);
        Apply(bed, ForwardingMode.IpIp, new ServiceRate(1, 2), null, IpProtocol.Udp);
        Assert.All(Enumerable.Range(0, 10), _ => Assert.Equal(EdgeVerdict.Forwarded, bed.Verdict(Udp(1000))));
        Assert.Equal((EdgeVerdict.Forwarded, EdgeVerdict.ServiceLimited), (bed.Verdict(Udp(1001)), bed.Verdict(Udp(1002))));
    }

    [Fact]
    public void Connections_of_another_balancer_are_not_held_against_the_limit()
    {
        using var bed = Bed(ForwardingMode.IpIp, fineClock: false);
        Apply(bed, ForwardingMode.IpIp, new ServiceRate(1, 2), null);
        Assert.All(Enumerable.Range(1000, 50), p => Assert.Equal(EdgeVerdict.Forwarded, bed.Verdict(Tcp(p, TcpFlags.Ack))));
        Assert.Equal(EdgeVerdict.Forwarded, bed.Verdict(Tcp(1, TcpFlags.Syn)));
    }

    [Fact]
    public void A_limit_is_changed_and_taken_away_in_force_and_the_next_service_of_its_number_begins_with_nothing()
    {
        using var bed = Bed(ForwardingMode.Nat, fineClock: false);
        Apply(bed, ForwardingMode.Nat, new ServiceRate(1, 3), null);
        Assert.Equal(3, Enumerable.Range(0, 10).Count(p => bed.Verdict(Tcp(p, TcpFlags.Syn)) == EdgeVerdict.Forwarded));
        Apply(bed, ForwardingMode.Nat, new ServiceRate(1000, 1000), null);
        bed.Twin.Environment.Advance(TimeSpan.FromMilliseconds(100));
        Assert.Equal(EdgeVerdict.Forwarded, bed.Verdict(Tcp(100, TcpFlags.Syn)));
        Apply(bed, ForwardingMode.Nat, null, null);
        Assert.All(Enumerable.Range(200, 20), p => Assert.Equal(EdgeVerdict.Forwarded, bed.Verdict(Tcp(p, TcpFlags.Syn))));
        bed.State.Balancer.Apply([]);
        Assert.Equal(default, bed.Maps.Balancing.Limits.Entries[0].Connections.Refused + bed.Maps.Balancing.Limits.Entries[1].Connections.Refused);
    }

    [Fact]
    public void The_clock_is_as_coarse_as_the_finest_limit_allows_and_without_limits_there_is_none()
    {
        const ulong tick = 4_000_000;
        ServiceModel Of(ServiceRate? connections, ServiceRate? packets) => Service(Vip, ForwardingMode.Nat, IpProtocol.Tcp) with { ConnectionRate = connections, PacketRate = packets };
        Assert.Null(ServiceLimits.For([Of(null, null)], tick));
        Assert.Equal(new ServiceLimits(true, false, false), ServiceLimits.For([Of(new(1000, 1000), null), Of(null, null)], tick));
        Assert.Equal(new ServiceLimits(true, true, true), ServiceLimits.For([Of(new(1000, 1000), null), Of(null, new(1_000_000, 1000))], tick));
    }

    [Fact]
    public void Limits_are_explained()
    {
        using var bed = Bed(ForwardingMode.Nat, fineClock: false);
        Apply(bed, ForwardingMode.Nat, new ServiceRate(1, 3), new ServiceRate(9, 90));
        var steps = bed.State.Explainer.Explain(IpAddress.Parse("192.0.2.1"), 1, IpAddress.Parse(Vip), 80, IpProtocol.Tcp).Steps;
        Assert.Contains(steps, s => s.StartsWith("It takes 1 new connections a second, 3 at once", StringComparison.Ordinal));
        Assert.Contains(steps, s => s.StartsWith("It takes 9 packets a second, 90 at once", StringComparison.Ordinal));
    }

    private static EdgeBed Bed(ForwardingMode way, bool fineClock) => new(EdgeBed.Small with
    {
        BlockAddresses = false, BlockPrefixes = false, MaxFlows = 8192, MaxConnections = 4096, Balance = way == ForwardingMode.Nat,
        Direct = way == ForwardingMode.Nat ? null : new DirectOptions { Features = VipFlags.Limited }, Limits = new ServiceLimits(true, true, fineClock),
    });

    private static ServiceModel Service(string vip, ForwardingMode way, IpProtocol protocol) =>
        EdgeBed.Service("web", vip, 80, protocol, EdgeBed.Backend("10.0.0.1", 80)) with { Forwarding = way };

    private static void Apply(EdgeBed bed, ForwardingMode way, ServiceRate? connections, ServiceRate? packets, IpProtocol protocol = IpProtocol.Tcp)
    {
        bed.Twin.Environment.Advance(TimeSpan.FromSeconds(10));
        bed.State.Balancer.SetNextHops(new Dictionary<IpAddress, BackendPath> { [IpAddress.Parse("10.0.0.1")] = new(IpAddress.Parse("10.0.0.100"), 1500, 1) });
        Assert.Empty(bed.State.Balancer.Apply([Service(Vip, way, protocol) with { ConnectionRate = connections, PacketRate = packets }, Service(Other, way, protocol)]));
    }

    private static byte[] Tcp(int port, TcpFlags flags, string vip = Vip) => PacketBuilder.Ethernet().IPv4("192.0.2.1", vip).Tcp((ushort)port, 80, flags).Build();

    private static byte[] Udp(int port) => PacketBuilder.Ethernet().IPv4("192.0.2.1", Vip).Udp((ushort)port, 80).Build();
}
