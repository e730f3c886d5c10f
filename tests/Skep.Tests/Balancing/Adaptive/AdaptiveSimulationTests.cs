using Skep.Balancing.Adaptive;

namespace Skep.Tests.Balancing.Adaptive;

/// <summary>The controller against servers with queues, in virtual time.</summary>
public sealed class AdaptiveSimulationTests
{
    private static readonly ServicePolicy s_adaptive = new() { Adaptive = new(), Outliers = new() };

    [Theory]
    [InlineData(0.3)]
    [InlineData(0.5)]
    [InlineData(0.7)]
    public void With_a_slow_and_a_disturbed_backend_it_beats_static_weights_by_far_and_least_connections_too(double load)
    {
        QueueSimulation Run(Method method) => new QueueSimulation(SlowAndDisturbed(), load * (8 * 400 + 100 + 266), method, s_adaptive).Run(60);
        var (fixedWeights, least, ours) = (Run(Method.Static), Run(Method.LeastConnections), Run(Method.AdaptiveTwoChoices));
        Assert.InRange(ours.Mean(10), 0, 0.55 * fixedWeights.Mean(10));
        Assert.InRange(ours.Quantile(0.99, 10), 0, 0.5 * fixedWeights.Quantile(0.99, 10));
        Assert.InRange(ours.Mean(10), 0, least.Mean(10));
        Assert.InRange(ours.Quantile(0.99, 10), 0, least.Quantile(0.99, 10));
    }

    [Theory]
    [InlineData(300)]
    [InlineData(1500)]
    [InlineData(3000)]
    public void A_backend_that_becomes_ten_times_slower_loses_its_surplus_within_five_seconds_and_regains_it_within_fifteen(int perSecond)
    {
        SimulatedServer[] servers = [new(8, 0.005), new(8, 0.005) { Slowdown = t => t is > 20 and < 40 ? 10 : 1 }, new(8, 0.005)];
        var run = new QueueSimulation(servers, perSecond, Method.AdaptiveTwoChoices, s_adaptive).Run(90);
        Assert.Equal(1 / 3d, run.ShareAt(20, 1), 0.02);
        // A tenth of a full backend's part among two full ones.
        Assert.All(run.History.Where(h => h.At is > 25 and < 40), h => Assert.InRange(h.Shares[1], 0.001, 0.05));
        Assert.InRange(run.ShareAt(43, 1), 0.005, 0.2);
        Assert.All(run.History.Where(h => h.At > 55), h => Assert.InRange(h.Shares[1], 0.3, 0.36));
        // What returns grows: never by more than a step at once.
        Assert.All(run.History.Where(h => h.At > 40).Zip(run.History.Where(h => h.At > 40).Skip(1)), p => Assert.InRange(p.Second.Shares[1] - p.First.Shares[1], -0.1, 0.04));
    }

    [Theory]
    [InlineData(0.5)]
    [InlineData(0.8)]
    [InlineData(0.95)]
    public void In_steady_load_shares_do_not_swing(double load)
    {
        var run = new QueueSimulation([.. Enumerable.Range(0, 5).Select(_ => new SimulatedServer(4, 0.010))], load * 2000, Method.AdaptiveTwoChoices, s_adaptive).Run(120);
        Assert.All(run.History.SelectMany(h => h.Shares), s => Assert.InRange(s, 0.19, 0.21));
        Assert.DoesNotContain(run.Decisions, d => d.Decision.Kind is DecisionKind.Ejected or DecisionKind.Spared);
    }

    [Theory]
    [InlineData(300, 0.0002)]
    [InlineData(300, 0.02)]
    [InlineData(1500, 0.0002)]
    [InlineData(1500, 0.02)]
    public void Seen_through_clients_only_a_slow_backend_loses_its_surplus_within_five_seconds_and_regains_it(int perSecond, double trip)
    {
        SimulatedServer[] servers = [new(8, 0.005), new(8, 0.005) { Slowdown = t => t is > 20 and < 40 ? 10 : 1 }, new(8, 0.005)];
        var run = new QueueSimulation(servers, perSecond, Method.Adaptive, s_adaptive, trip: trip).Run(90);
        Assert.Equal(1 / 3d, run.ShareAt(20, 1), 0.03);
        Assert.All(run.History.Where(h => h.At is > 25 and < 40), h => Assert.InRange(h.Shares[1], 0.001, 0.1));
        Assert.All(run.History.Where(h => h.At > 65), h => Assert.InRange(h.Shares[1], 0.28, 0.37));
        Assert.DoesNotContain(run.Decisions, d => d.Decision.Kind is DecisionKind.Ejected or DecisionKind.Spared);
    }

    [Theory]
    [InlineData(0.3, 0.0002)]
    [InlineData(0.3, 0.05)]
    [InlineData(0.7, 0.0002)]
    [InlineData(0.7, 0.05)]
    public void Seen_through_clients_only_shares_do_not_swing_in_steady_load(double load, double trip)
    {
        var run = new QueueSimulation([.. Enumerable.Range(0, 5).Select(_ => new SimulatedServer(4, 0.010))], load * 2000, Method.Adaptive, s_adaptive, trip: trip).Run(120);
        Assert.All(run.History.SelectMany(h => h.Shares), s => Assert.InRange(s, 0.18, 0.22));
        Assert.DoesNotContain(run.Decisions, d => d.Decision.Kind is DecisionKind.Ejected or DecisionKind.Spared);
    }

    [Fact]
    public void Unequal_backends_settle_and_stay()
    {
        SimulatedServer[] servers = [new(4, 0.010), new(4, 0.010), new(4, 0.020), new(4, 0.030)];
        var run = new QueueSimulation(servers, 500, Method.AdaptiveTwoChoices, s_adaptive).Run(120);
        var late = run.History.Where(h => h.At > 40).Select(h => h.Shares[2]).ToArray();
        var mean = late.Average();
        Assert.InRange(mean, 0.03, 0.2);
        Assert.InRange(Math.Sqrt(late.Average(s => (s - mean) * (s - mean))), 0, 0.25 * mean);
    }

    [Fact]
    public void A_backend_that_refuses_is_out_within_a_second_and_is_let_in_gradually()
    {
        SimulatedServer[] servers = [new(8, 0.005), new(8, 0.005) { Refuses = t => t is > 20.1 and < 25 }, new(8, 0.005)];
        var run = new QueueSimulation(servers, 300, Method.AdaptiveTwoChoices, s_adaptive with { SlowStart = TimeSpan.FromSeconds(5) }).Run(60);
        var ejected = Assert.Single(run.Decisions, d => d.Decision.Kind == DecisionKind.Ejected);
        Assert.InRange(ejected.At, 20.1, 21.1);
        Assert.Contains("% of its connections failed", ejected.Decision.Reason, StringComparison.Ordinal);
        Assert.Equal(0, ejected.Decision.After);
        Assert.All(run.Failures, f => Assert.InRange(f.At, 20.1, 21.1));
        var returned = Assert.Single(run.Decisions, d => d.Decision.Kind == DecisionKind.Returned);
        Assert.InRange(returned.At - ejected.At, 10, 10.3);
        Assert.InRange(run.ShareAt(returned.At + 1, 1), 0.001, 0.12);
        Assert.InRange(run.ShareAt(55, 1), 0.3, 0.36);
    }

    [Fact]
    public void A_backend_that_falls_silent_is_out_within_a_second()
    {
        SimulatedServer[] servers = [new(8, 0.005), new(8, 0.005), new(8, 0.005) { IsSilent = t => t is > 20.1 and < 25 }];
        var run = new QueueSimulation(servers, 300, Method.AdaptiveTwoChoices, s_adaptive).Run(40);
        var ejected = Assert.Single(run.Decisions, d => d.Decision.Kind == DecisionKind.Ejected);
        Assert.InRange(ejected.At, 20.5, 21.1);
        Assert.Contains("answered nothing", ejected.Decision.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void One_that_fails_again_and_again_is_out_for_longer_each_time()
    {
        SimulatedServer[] servers = [new(8, 0.005), new(8, 0.005) { Refuses = t => t > 5 }, new(8, 0.005)];
        var run = new QueueSimulation(servers, 300, Method.AdaptiveTwoChoices, s_adaptive).Run(120);
        var at = run.Decisions.Where(d => d.Decision.Kind == DecisionKind.Ejected).Select(d => d.At).ToArray();
        Assert.InRange(at[1] - at[0], 10, 13);
        Assert.InRange(at[2] - at[1], 20, 23);
        Assert.InRange(at[3] - at[2], 40, 43);
    }

    [Fact]
    public void No_more_than_the_allowed_share_is_taken_out()
    {
        SimulatedServer[] servers = [new(8, 0.005), .. Enumerable.Range(0, 3).Select(_ => new SimulatedServer(8, 0.005) { Refuses = t => t > 5 })];
        var run = new QueueSimulation(servers, 300, Method.AdaptiveTwoChoices, s_adaptive).Run(14);
        Assert.Equal(2, run.Decisions.Count(d => d.Decision.Kind == DecisionKind.Ejected));
        Assert.Contains("50 %", Assert.Single(run.Decisions, d => d.Decision.Kind == DecisionKind.Spared).Decision.Reason, StringComparison.Ordinal);
        Assert.Equal(2, run.History[^1].Shares.Count(s => s > 0));
    }

    [Fact]
    public void An_outlier_by_latency_is_taken_out_when_that_is_asked_for()
    {
        SimulatedServer[] servers = [new(8, 0.005), new(8, 0.005), new(8, 0.005), new(8, 0.005) { Slowdown = t => t > 10 ? 30 : 1 }];
        ServicePolicy Policy(double? factor) => new() { Outliers = new() { LatencyFactor = factor } };
        Assert.Contains(new QueueSimulation(servers, 300, Method.AdaptiveTwoChoices, Policy(10)).Run(15).Decisions, d => d.Decision is { Kind: DecisionKind.Ejected } e && e.Reason.Contains("take", StringComparison.Ordinal));
        Assert.Empty(new QueueSimulation(servers, 300, Method.AdaptiveTwoChoices, Policy(null)).Run(15).Decisions);
    }

    private static SimulatedServer[] SlowAndDisturbed() => [.. Enumerable.Range(0, 10).Select(i => i switch
    {
        0 => new SimulatedServer(4, 0.010) { Slowdown = _ => 4 },
        1 => new SimulatedServer(4, 0.010) { Slowdown = t => (int)(t / 3) % 2 == 0 ? 3 : 1 },
        _ => new SimulatedServer(4, 0.010),
    })];
}
