using System.Collections.Immutable;
using Skep.Balancing;
using Skep.Balancing.Adaptive;
using Skep.Packets;

namespace Skep.Tests.Balancing.Adaptive;

public sealed class ServiceControllerTests
{
    private readonly ServiceController _controller = new();
    private TimeSpan _now;

    [Fact]
    public void Without_a_policy_shares_are_those_of_the_weights()
    {
        Assert.Equal([0.25, 0.75], Shares(Model(new(), Backend(1), Backend(2, 3))).Select(s => Math.Round(s, 5)));
    }

    [Theory]
    [InlineData(0.01)]
    [InlineData(0.05)]
    [InlineData(0.5)]
    public void A_canary_gets_its_share_whatever_the_weights(double share)
    {
        var model = Model(new() { CanaryShare = share }, Backend(1, 100), Backend(2, 300), Backend(3, 7) with { Canary = true }, Backend(4, 7) with { Canary = true });
        var shares = Shares(model);
        Assert.Equal(share, shares[2] + shares[3], 4);
        Assert.Equal(shares[2], shares[3], 6);
        Assert.Equal(3 * shares[0], shares[1], 4);
    }

    [Fact]
    public void A_group_without_a_living_backend_leaves_its_share_to_the_other()
    {
        var policy = new ServicePolicy { CanaryShare = 0.1 };
        Assert.Equal([1, 0], Shares(Model(policy, Backend(1), Backend(2) with { Canary = true, Alive = false })));
        Assert.Equal([0, 1], Shares(Model(policy, Backend(1) with { Alive = false }, Backend(2) with { Canary = true })));
    }

    [Fact]
    public void The_preferred_zone_gets_everything_while_it_is_healthy_and_spills_over_when_it_is_not()
    {
        var policy = new ServicePolicy { PreferredZone = "a" };
        BackendModel[] backends = [.. Enumerable.Range(1, 4).Select(i => Backend(i) with { Zone = "a" }), Backend(5) with { Zone = "b" }, Backend(6)];
        Assert.Equal([0.25, 0.25, 0.25, 0.25, 0, 0], Shares(Model(policy, backends)));
        backends[0] = backends[0] with { Alive = false };
        Assert.Equal(0, Shares(Model(policy, backends))[4..].Sum());
        // Half of it is left, which with 1.4 times over carries seven tenths.
        backends[1] = backends[1] with { Alive = false };
        Assert.Equal([0, 0, 0.35, 0.35, 0.15, 0.15], Shares(Model(policy, backends)).Select(s => Math.Round(s, 4)));
        Assert.Equal([0, 0, 0, 0, 0.5, 0.5], Shares(Model(policy, [.. backends.Select(b => b.Zone == "a" ? b with { Alive = false } : b)])));
    }

    [Theory]
    [InlineData(IpProtocol.Tcp, true)]
    [InlineData(IpProtocol.Udp, false)]
    public void Where_hardly_anybody_asks_weights_follow_the_times_of_health_checks(IpProtocol protocol, bool expected)
    {
        var model = Model(new() { Adaptive = new() }, [.. Enumerable.Range(1, 3).Select(i => Backend(i) with { CheckSeconds = i == 2 ? 0.1 : 0.005, ChecksTimed = 8 })]) with { Protocol = protocol };
        var decisions = new List<WeightDecision>();
        for (var i = 0; i < 60; i++)
        {
            decisions.AddRange(Step(model).Decisions);
        }

        Assert.Equal(expected, Shares(model)[1] < 0.1);
        Assert.Equal(expected, decisions.Any(d => d.Kind == DecisionKind.Less && d.Reason.StartsWith("health checks take 100 ms", StringComparison.Ordinal)));
    }

    [Fact]
    public void What_joins_later_grows_to_its_weight()
    {
        var policy = new ServicePolicy { SlowStart = TimeSpan.FromSeconds(10) };
        Assert.Equal([0.5, 0.5], Shares(Model(policy, Backend(1), Backend(2))));
        var three = Model(policy, Backend(1), Backend(2), Backend(3));
        Assert.InRange(Shares(three)[2], 0.001, 0.02);
        Assert.Contains(Step(three).Decisions, d => d is { Kind: DecisionKind.More, Reason: "slow start goes on" });
        for (var i = 0; i < 17; i++)
        {
            Step(three);
        }

        Assert.Equal(0.5 / 2.5, Shares(three)[2], 0.02);
        for (var i = 0; i < 25; i++)
        {
            Step(three);
        }

        Assert.Equal(1 / 3d, Shares(three)[2], 3);
    }

    [Fact]
    public void What_was_dead_or_drained_comes_back_slowly_and_every_step_has_its_reason()
    {
        var policy = new ServicePolicy { SlowStart = TimeSpan.FromSeconds(10) };
        var up = Model(policy, Backend(1), Backend(2));
        Step(up);
        var dead = Step(Model(policy, Backend(1), Backend(2) with { Alive = false, AliveReason = "connect: refused" }));
        Assert.Equal((DecisionKind.Dead, "connect: refused", 0.5, 0d), Brief(Assert.Single(dead.Decisions, d => d.Kind == DecisionKind.Dead)));
        var alive = Step(up);
        Assert.Equal([DecisionKind.Alive, DecisionKind.SlowStart], alive.Decisions.Where(d => d.Address == Backend(2).Address).Select(d => d.Kind));
        Assert.InRange(SharesOf(alive.Model)[1], 0.001, 0.03);
        Assert.Contains(Step(Model(policy, Backend(1), Backend(2) with { Drain = true })).Decisions, d => d.Kind == DecisionKind.Draining);
        Assert.Contains(Step(up).Decisions, d => d.Kind == DecisionKind.Undrained);
    }

    [Fact]
    public void What_is_dead_when_it_is_first_seen_has_its_reason_too()
    {
        var first = Step(Model(new(), Backend(1), Backend(2) with { Alive = false, AliveReason = "connect: refused" }));
        Assert.Equal([1, 0], SharesOf(first.Model));
        var told = Assert.Single(first.Decisions, d => d.Address == Backend(2).Address);
        Assert.Equal((DecisionKind.Dead, "connect: refused"), (told.Kind, told.Reason));
    }

    [Fact]
    public void When_all_are_dead_it_is_as_declared()
    {
        BackendModel[] dead = [Backend(1) with { Alive = false }, Backend(2) with { Alive = false }];
        Assert.Equal([0, 0], Shares(Model(new(), dead)));
        var all = Step(Model(new() { WhenAllDead = WhenAllDead.All }, dead));
        Assert.Equal([0.5, 0.5], SharesOf(all.Model));
        Assert.All(all.Model.Backends, b => Assert.True(b.TakesConnections));
        Assert.Contains("0 %", Assert.Single(all.Decisions, d => d.Kind == DecisionKind.Panic).Reason, StringComparison.Ordinal);
        Assert.Contains(Step(Model(new() { WhenAllDead = WhenAllDead.All }, Backend(1), dead[1])).Decisions, d => d.Kind == DecisionKind.Calm);
    }

    [Fact]
    public void Panic_uses_the_dead_when_too_few_are_alive()
    {
        var policy = new ServicePolicy { PanicThreshold = 0.5 };
        BackendModel[] backends = [Backend(1), Backend(2), Backend(3) with { Alive = false }, Backend(4) with { Alive = false }];
        Assert.Equal([0.5, 0.5, 0, 0], Shares(Model(policy, backends)));
        backends[1] = backends[1] with { Alive = false };
        Assert.All(Shares(Model(policy, backends)), s => Assert.Equal(0.25, s, 6));
    }

    [Fact]
    public void A_controller_that_starts_anew_goes_on_from_the_shares_there_are()
    {
        var model = Model(new() { Adaptive = new() }, Backend(1), Backend(2), Backend(3, 2));
        _controller.Seed(model, new Dictionary<(IpAddress, ushort), double> { [(Backend(1).Address, 80)] = 0.3, [(Backend(2).Address, 80)] = 0.1, [(Backend(3).Address, 80)] = 0.6 });
        var shares = Shares(model);
        Assert.Equal(0.1, shares[1], 0.01);
        Assert.Equal(0.3, shares[0], 0.01);
    }

    [Fact]
    public void Small_changes_move_nothing()
    {
        var model = Model(new() { Adaptive = new() }, Backend(1), Backend(2));
        Step(model);
        var before = Step(model).Model;
        Assert.Equal(before.Backends.Select(b => b.Adjusted), Step(model).Model.Backends.Select(b => b.Adjusted));
        Assert.Empty(Step(model).Decisions);
    }

    [Fact]
    public void A_drained_backend_gets_nothing()
    {
        Assert.Equal([1, 0, 0], Shares(Model(new() { Adaptive = new() }, Backend(1), Backend(2) with { Drain = true }, Backend(3, 0))));
    }

    private static BackendModel Backend(int number, int weight = 1) => new(IpAddress.FromBytes([10, 0, 0, (byte)number]), 80, weight);

    private static ServiceModel Model(ServicePolicy policy, params BackendModel[] backends) =>
        new("web", IpAddress.Parse("192.0.2.1"), 80, IpProtocol.Tcp, [.. backends]) { Policy = policy };

    private static (DecisionKind, string, double, double) Brief(WeightDecision d) => (d.Kind, d.Reason, d.Before, d.After);

    private (ServiceModel Model, ImmutableArray<WeightDecision> Decisions) Step(ServiceModel model)
    {
        _now += TimeSpan.FromSeconds(WeightLaw.Period);
        return _controller.Step(_now, model, _ => default);
    }

    private double[] Shares(ServiceModel model) => SharesOf(Step(model).Model);

    private static double[] SharesOf(ServiceModel model)
    {
        double total = model.Backends.Sum(b => b.TakesConnections ? b.RingWeight : 0);
        return [.. model.Backends.Select(b => b.TakesConnections && total > 0 ? b.RingWeight / total : 0)];
    }
}
