using Skep.Balancing;
using Skep.Edge;
using Skep.Packets;
using Skep.Tests.Edge;

namespace Skep.Tests.Balancing;

public sealed class BalancerTests
{
    private const string Vip = "198.51.100.1";
    private static readonly BackendModel s_one = EdgeBed.Backend("10.1.0.1", 80);
    private static readonly BackendModel s_two = EdgeBed.Backend("10.1.0.2", 80);

    [Fact]
    public void Numbers_stay_across_applies_and_restarts()
    {
        using var bed = new EdgeBed();
        bed.State.Balancer.Apply([Web(80, s_one), Web(81, s_one, s_two)]);
        var before = Ids(bed.State.Balancer);
        bed.State.Balancer.Apply([Web(81, s_two, s_one), Web(82, s_one), Web(80, s_one)]);
        var after = Ids(bed.State.Balancer);
        Assert.All(before, b => Assert.Equal(b.Value, after[b.Key]));

        var restarted = new Balancer(bed.Maps.Balancing);
        restarted.Apply([Web(82, s_one), Web(80, s_one), Web(81, s_one, s_two)]);
        Assert.Equal(after.OrderBy(p => p.Key), Ids(restarted).OrderBy(p => p.Key));
    }

    [Fact]
    public void A_restart_keeps_connections_and_removes_what_is_no_longer_wanted()
    {
        using var bed = new EdgeBed();
        bed.State.Balancer.Apply([Web(80, s_one), Web(81, s_two)]);
        Assert.Equal(EdgeVerdict.Forwarded, Syn(bed, 1000, 80));
        var restarted = new EdgeState(bed.Maps, bed.Time);
        restarted.Balancer.Apply([Web(80, s_one)]);
        Assert.Single(restarted.Connections.List());
        Assert.Equal(EdgeVerdict.Forwarded, Syn(bed, 1000, 80));
        Assert.Equal(EdgeVerdict.Passed, Syn(bed, 1001, 81));
    }

    [Fact]
    public void A_removed_service_is_gone_and_its_address_is_no_service_any_more()
    {
        using var bed = new EdgeBed();
        bed.State.Balancer.Apply([Web(80, s_one)]);
        bed.State.Balancer.Apply([]);
        Assert.Equal(EdgeVerdict.Passed, Syn(bed, 1000, 80));
        Assert.Equal(EdgeVerdict.Passed, bed.Verdict(PacketBuilder.Ethernet().IPv4("192.0.2.1", Vip, fragmentOffset: 8, protocol: IpProtocol.Udp).Build()));
        Assert.Empty(bed.Maps.Balancing.Services.Keys);
    }

    [Fact]
    public void A_model_applied_twice_writes_nothing_the_second_time()
    {
        using var bed = new EdgeBed();
        bed.State.Balancer.Apply([Web(80, s_one, s_two)]);
        var key = Web(80).Key;
        bed.Maps.Balancing.Services.TryGet(in key, out var before);
        bed.State.Balancer.Apply([Web(80, s_one, s_two)]);
        bed.Maps.Balancing.Services.TryGet(in key, out var after);
        Assert.Equal(before.RingStart, after.RingStart);
        bed.State.Balancer.Apply([Web(80, s_one)]);
        bed.Maps.Balancing.Services.TryGet(in key, out after);
        Assert.NotEqual(before.RingStart, after.RingStart);
    }

    [Fact]
    public void The_ring_in_use_is_never_written()
    {
        using var bed = new EdgeBed();
        for (var round = 0; round < 4; round++)
        {
            bed.State.Balancer.Apply([Web(80, round % 2 == 0 ? s_one : s_two)]);
            var key = Web(80).Key;
            bed.Maps.Balancing.Services.TryGet(in key, out var inUse);
            bed.Maps.Balancing.Ring.TryGet(inUse.RingStart, out var before);
            var writer = new RingWriter(bed.Maps.Balancing);
            writer.Write(writer.StartOf(inUse.Id, 1 - writer.HalfOf(inUse.Id, inUse.RingStart)), new ushort[251]);
            bed.Maps.Balancing.Ring.TryGet(inUse.RingStart, out var after);
            Assert.Equal(before, after);
        }
    }

    [Fact]
    public void Counters_of_a_number_that_is_used_again_start_at_zero()
    {
        using var bed = new EdgeBed(EdgeBed.Small with { MaxBackends = 1 });
        bed.State.Balancer.Apply([Web(80, s_one)]);
        Syn(bed, 1000, 80);
        bed.State.Balancer.Apply([]);
        bed.State.Balancer.Apply([Web(80, s_two)]);
        Assert.Equal(default, bed.State.Balancer.TrafficOf(bed.State.Balancer.Services[0].Backends[0].Id));
    }

    [Fact]
    public void Udp_clients_of_a_removed_backend_are_given_away_anew()
    {
        using var bed = new EdgeBed();
        ServiceModel Dns(BackendModel backend) => EdgeBed.Service("dns", Vip, 53, IpProtocol.Udp, backend);
        var query = PacketBuilder.Ethernet().IPv4("192.0.2.1", Vip).Udp(1000, 53).Build();
        bed.State.Balancer.Apply([Dns(s_one)]);
        Assert.Equal("10.1.0.1", WireCheck.Of(bed.Run(query).Packet).Destination);
        bed.State.Balancer.Apply([Dns(s_two)]);
        Assert.Equal("10.1.0.2", WireCheck.Of(bed.Run(query).Packet).Destination);
    }

    [Fact]
    public void Shares_are_reported()
    {
        using var bed = new EdgeBed(EdgeBed.Small with { RingSize = 4093 });
        bed.State.Balancer.Apply([Web(80, s_one, s_two with { Weight = 3 }, EdgeBed.Backend("10.1.0.3", 80, 0))]);
        Assert.Equal([0.25, 0.75, 0], bed.State.Balancer.Services[0].Backends.Select(b => Math.Round(b.Share, 2)));
    }

    [Fact]
    public void Everything_that_is_wrong_is_reported_and_the_rest_works()
    {
        using var bed = new EdgeBed(EdgeBed.Small with { MaxServices = 3, MaxBackends = 3 });
        var problems = bed.State.Balancer.Apply(
        [
            Web(80, s_one, EdgeBed.Backend("2001:db8::1", 80), s_one),
            Web(80, s_two),
            Web(81),
            Web(82, s_one with { Alive = false }),
            Web(83, s_one),
        ]);
        Assert.Equal(
            [
                BalancerProblemKind.FamilyMismatch,
                BalancerProblemKind.DuplicateBackend,
                BalancerProblemKind.OverlappingServices,
                BalancerProblemKind.NoBackend,
                BalancerProblemKind.NoBackend,
                BalancerProblemKind.TooManyServices,
            ],
            problems.Select(p => p.Kind));
        Assert.All(problems, p => Assert.StartsWith("web", p.Message, StringComparison.Ordinal));
        Assert.Equal(EdgeVerdict.Forwarded, Syn(bed, 1000, 80));
        Assert.Equal(EdgeVerdict.NoBackend, Syn(bed, 1000, 81));
        Assert.Equal(EdgeVerdict.NoBackend, Syn(bed, 1000, 82));
        Assert.Equal(EdgeVerdict.Passed, Syn(bed, 1000, 83));
    }

    [Fact]
    public void A_service_that_cannot_be_written_is_reported_and_the_others_work()
    {
        using var bed = new EdgeBed();
        bed.State.Balancer.Apply([Web(80, s_one)]);
        // Somebody else's entries fill the map.
        for (uint i = 0; bed.Maps.Balancing.Services.TrySet(new ServiceKey { RawPort = i, Protocol = 255 }, default) == 0; i++)
        {
        }

        var problem = Assert.Single(bed.State.Balancer.Apply([Web(80, s_two), Web(81, s_one)]));
        Assert.Equal((BalancerProblemKind.WriteFailed, (ushort)81), (problem.Kind, problem.Service.Port));
        Assert.Equal(80, Assert.Single(bed.State.Balancer.Services).Model.Port);
        Assert.Equal(EdgeVerdict.Forwarded, Syn(bed, 1000, 80));
        Assert.Equal(EdgeVerdict.Passed, Syn(bed, 1000, 81));
    }

    [Fact]
    public void A_ring_that_names_a_backend_out_of_use_refuses_instead_of_sending_nowhere()
    {
        using var bed = new EdgeBed();
        bed.State.Balancer.Apply([Web(80, s_one)]);
        bed.Maps.Balancing.Backends.Set(bed.State.Balancer.Services[0].Backends[0].Id, default);
        Assert.Equal(EdgeVerdict.NoBackend, Syn(bed, 1000, 80));
    }

    [Fact]
    public void A_full_backend_table_leaves_the_others_working()
    {
        using var bed = new EdgeBed(EdgeBed.Small with { MaxBackends = 1 });
        Assert.Equal(BalancerProblemKind.TooManyBackends, Assert.Single(bed.State.Balancer.Apply([Web(80, s_one, s_two)])).Kind);
        Assert.Equal(EdgeVerdict.Forwarded, Syn(bed, 1000, 80));
    }

    private static ServiceModel Web(ushort port, params BackendModel[] backends) => EdgeBed.Service("web", Vip, port, IpProtocol.Tcp, backends);

    private static EdgeVerdict Syn(EdgeBed bed, ushort from, ushort to) =>
        bed.Verdict(PacketBuilder.Ethernet().IPv4("192.0.2.1", Vip).Tcp(from, to, TcpFlags.Syn).Build());

    private static Dictionary<string, uint> Ids(Balancer balancer) => balancer.Services
        .SelectMany(s => s.Backends.Select(b => (Name: $"{s.Model.Port} {b.Model.Address}", Id: (uint)b.Id)).Prepend(($"{s.Model.Port}", s.Id)))
        .ToDictionary(p => p.Item1, p => p.Item2);
}
