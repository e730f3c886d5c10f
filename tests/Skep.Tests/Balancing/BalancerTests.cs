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
    public void A_change_moves_no_more_slots_than_it_must_and_leaves_the_ring_where_it_is()
    {
        using var bed = new EdgeBed();
        bed.State.Balancer.Apply([Web(80, s_one, s_two)]);
        var (place, before) = Ring(bed, 80);
        bed.State.Balancer.Apply([Web(80, s_one, s_two)]);
        Assert.Equal(before, Ring(bed, 80).Slots);
        bed.State.Balancer.Apply([Web(80, s_one, s_two with { Weight = 3 })]);
        var (after, slots) = Ring(bed, 80);
        Assert.Equal(place, after);
        // 126 or 125 of 251 before, 63 after.
        Assert.InRange(before.Zip(slots).Count(s => s.First != s.Second), 62, 63);
    }

    [Fact]
    public void Whatever_came_before_what_was_asked_last_is_in_effect()
    {
        using var bed = new EdgeBed();
        var random = new Random(1);
        var list = new List<ServiceModel>();
        for (var round = 0; round < 500; round++)
        {
            for (var change = random.Next(3); change >= 0; change--)
            {
                var at = random.Next(list.Count + 1);
                var fresh = Web((ushort)(80 + random.Next(7)), s_one with { Weight = random.Next(1, 9) }, s_two);
                switch (random.Next(4))
                {
                    case 0 when at < list.Count:
                        list.RemoveAt(at);
                        break;
                    case 1 when at < list.Count:
                        list[at] = fresh;
                        break;
                    case 2 when at < list.Count:
                        bed.State.Balancer.Update(list[at] with { Backends = [s_one with { Weight = random.Next(1, 9) }, s_two] });
                        break;
                    default:
                        list.Insert(at, fresh);
                        break;
                }
            }

            var problems = bed.State.Balancer.Apply(list);

            // Of several with one key the first one counts.
            var wanted = list.DistinctBy(s => s.Key).ToArray();
            Assert.Equal(list.Count - wanted.Length, problems.Count(p => p.Kind == BalancerProblemKind.OverlappingServices));
            Assert.Equal(list.Count - wanted.Length, problems.Length);
            Assert.Equal(wanted, bed.State.Balancer.Services.Select(s => s.Model));
            Assert.Equal(
                wanted.Select(s => s.Key.RawPort).Order(), bed.Maps.Balancing.Services.Keys.Where(k => k.Protocol != 0).Select(k => k.RawPort).Order());
            Assert.Equal(
                wanted.Select(s => s.Backends[0].Weight / (double)(s.Backends[0].Weight + 1)), bed.State.Balancer.Services.Select(s => s.Backends[0].Share), (a, b) => Math.Abs(a - b) < 0.01);
        }
    }

    [Fact]
    public void Problems_of_services_that_did_not_change_are_told_again()
    {
        using var bed = new EdgeBed();
        ServiceModel[] list = [Web(80, s_one), Web(81), Web(82, s_one)];
        Assert.Single(bed.State.Balancer.Apply(list));
        list[2] = Web(82, s_two);
        Assert.Equal(BalancerProblemKind.NoBackend, Assert.Single(bed.State.Balancer.Apply(list)).Kind);
        list[1] = Web(81, s_one);
        Assert.Empty(bed.State.Balancer.Apply(list));
    }

    [Fact]
    public void Weights_that_follow_the_traffic_replace_those_of_the_model()
    {
        using var bed = new EdgeBed();
        bed.State.Balancer.Apply([Web(80, s_one, s_two), Web(81, s_one, s_two)]);
        var (_, other) = Ring(bed, 81);
        Assert.Empty(bed.State.Balancer.Update(Web(80, s_one with { Adjusted = 250 }, s_two with { Adjusted = 750 })));
        Assert.Equal([63 / 251d, 188 / 251d], bed.State.Balancer.Services[0].Backends.Select(b => b.Share));
        Assert.Equal(other, Ring(bed, 81).Slots);
        Assert.Empty(bed.State.Balancer.Update(Web(99, s_one)));
        Assert.Equal(2, bed.State.Balancer.Services.Length);
    }

    [Fact]
    public void A_restart_finds_the_ring_as_it_was_left()
    {
        using var bed = new EdgeBed();
        ServiceModel last = Web(80, s_one with { Weight = 5 }, s_two);
        bed.State.Balancer.Apply([Web(80, s_one, s_two)]);
        bed.State.Balancer.Apply([last]);
        var before = Ring(bed, 80);
        new Balancer(bed.Maps.Balancing).Apply([last]);
        Assert.Equal(before.Slots, Ring(bed, 80).Slots);
        Assert.Equal(before.Place, Ring(bed, 80).Place);
    }

    [Fact]
    public void A_service_that_grows_gets_a_larger_ring_in_which_most_clients_stay()
    {
        using var bed = new EdgeBed(EdgeBed.Small with { RingSize = 65536, RingRows = 65536, MaxBackends = 64 });
        var few = Enumerable.Range(1, 4).Select(i => EdgeBed.Backend($"10.1.0.{i}", 80)).ToArray();
        bed.State.Balancer.Apply([Web(80, few)]);
        var (_, before) = Ring(bed, 80);
        Assert.Equal(4096, before.Length);
        bed.State.Balancer.Apply([Web(80, [.. few, .. Enumerable.Range(5, 16).Select(i => EdgeBed.Backend($"10.1.0.{i}", 80))])]);
        var (_, after) = Ring(bed, 80);
        Assert.Equal(32768, after.Length);
        // Four of twenty keep a fifth of the clients; every client that stays with the old four stays with its own.
        var ids = before.Distinct().ToHashSet();
        var stayed = Enumerable.Range(0, after.Length).Where(i => ids.Contains(after[i])).ToArray();
        Assert.Equal(0.2, stayed.Length / (double)after.Length, 0.001);
        Assert.All(stayed, i => Assert.Equal(before[(int)((((2L * i) + 1) * before.Length) / (2L * after.Length))], after[i]));
    }

    [Fact]
    public void When_rows_run_short_rings_shrink_and_every_service_has_one()
    {
        using var bed = new EdgeBed(EdgeBed.Small with { RingSize = 4096, RingRows = 4096, MaxServices = 100, MaxBackends = 200 });
        ServiceModel[] all = [.. Enumerable.Range(1, 100).Select(i => Web((ushort)i, s_one, s_two))];
        Assert.Empty(bed.State.Balancer.Apply(all[..2]));
        Assert.All(bed.State.Balancer.Services, s => Assert.Equal(4096, s.Slots));
        // One after the other, as they are applied; not all at once.
        for (var count = 3; count <= 40; count++)
        {
            Assert.Empty(bed.State.Balancer.Apply(all[..count]));
        }

        Assert.All(bed.State.Balancer.Services, s => Assert.Equal(0.5, s.Backends[0].Share, 0.003));
        var sizes = bed.State.Balancer.Services.Select(s => s.Slots).ToArray();
        var restarted = new Balancer(bed.Maps.Balancing);
        restarted.Apply([.. all[..40].Select(s => s with { Name = "again" })]);
        Assert.Equal(sizes, restarted.Services.Select(s => s.Slots));
        Assert.All(Enumerable.Range(1, 40), i => Assert.Equal(EdgeVerdict.Forwarded, Syn(bed, (ushort)(1000 + i), (ushort)i)));
        var problems = bed.State.Balancer.Apply(all);
        Assert.NotEmpty(problems);
        Assert.All(problems, p => Assert.Equal(BalancerProblemKind.TooManySlots, p.Kind));
        Assert.Equal(100, problems.Length + bed.State.Balancer.Services.Length);
        Assert.InRange(problems.Length, 1, 50);
        bed.State.Balancer.Apply([]);
        Assert.Empty(bed.State.Balancer.Apply(all[..2]));
        Assert.All(bed.State.Balancer.Services, s => Assert.Equal(4096, s.Slots));
    }

    [Fact]
    public void Slots_are_wide_when_there_are_more_backends_than_sixteen_bits_number()
    {
        using var bed = new EdgeBed(EdgeBed.Small with { MaxBackends = 70_000 });
        bed.State.Balancer.Apply([Web(80, s_one, s_two)]);
        Assert.Equal(EdgeVerdict.Forwarded, Syn(bed, 1000, 80));
        var homes = Enumerable.Range(1000, 60)
            .Select(p => WireCheck.Of(bed.Run(PacketBuilder.Ethernet().IPv4("192.0.2.1", Vip).Tcp((ushort)p, 80, TcpFlags.Syn).Build()).Packet).Destination).Distinct();
        Assert.Equal(["10.1.0.1", "10.1.0.2"], homes.Order());
        Assert.Equal([126 / 251d, 125 / 251d], bed.State.Balancer.Services[0].Backends.Select(b => b.Share));
    }

    [Fact]
    public void Backends_that_an_agent_left_without_service_are_forgotten()
    {
        using var bed = new EdgeBed(EdgeBed.Small with { MaxBackends = 1 });
        bed.Maps.Balancing.Backends.Set(1, new BackendEntry { InUse = 1, Service = 7 });
        Assert.Empty(new Balancer(bed.Maps.Balancing).Apply([Web(80, s_one)]));
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
                BalancerProblemKind.OverlappingServices,
                BalancerProblemKind.FamilyMismatch,
                BalancerProblemKind.DuplicateBackend,
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

    private static (uint Place, ushort[] Slots) Ring(EdgeBed bed, ushort port)
    {
        bed.Maps.Balancing.Services.TryGet(Web(port).Key, out var entry);
        var rows = bed.Maps.Balancing.Ring.Entries[(int)entry.RingStart..];
        return (entry.RingStart, RingSlots.Narrow(rows, (int)entry.RingSlots).ToArray());
    }

    private static ServiceModel Web(ushort port, params BackendModel[] backends) => EdgeBed.Service("web", Vip, port, IpProtocol.Tcp, backends);

    private static EdgeVerdict Syn(EdgeBed bed, ushort from, ushort to) =>
        bed.Verdict(PacketBuilder.Ethernet().IPv4("192.0.2.1", Vip).Tcp(from, to, TcpFlags.Syn).Build());

    private static Dictionary<string, uint> Ids(Balancer balancer) => balancer.Services
        .SelectMany(s => s.Backends.Select(b => (Name: $"{s.Model.Port} {b.Model.Address}", Id: (uint)b.Id)).Prepend(($"{s.Model.Port}", s.Id)))
        .ToDictionary(p => p.Item1, p => p.Item2);
}
