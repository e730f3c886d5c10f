using System.Net;
using System.Net.Sockets;
using Skep.Agent;
using Skep.Agent.Configuration;
using Skep.Balancing;
using Skep.Balancing.Adaptive;
using Skep.Balancing.Health;
using Skep.Packets;
using Skep.Tests.Edge;

namespace Skep.Tests.Agent;

public sealed class BackendControlTests : IDisposable
{
    private const string Vip = "198.51.100.1";
    private readonly EdgeBed _bed = new();

    private readonly string _directory = Directory.CreateTempSubdirectory("skep-drains-").FullName;

    public void Dispose()
    {
        _bed.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public void What_remains_of_a_drain_is_cut_at_its_deadline_and_not_before()
    {
        var control = new BackendControl(_bed.Time, TimeProvider.System, monitor: null, Drains());
        var service = EdgeBed.Service("web", Vip, 80, IpProtocol.Tcp, EdgeBed.Backend("10.1.0.1", 80), EdgeBed.Backend("10.1.0.2", 80));
        Apply(control, service);
        Assert.False(control.IsNeeded);
        for (ushort port = 1000; port < 1020; port++)
        {
            Pass(port, TcpFlags.Syn);
        }

        var held = Open(1);
        Assert.True(held > 0);
        var drained = service with { Backends = [service.Backends[0], service.Backends[1] with { Drain = true, DrainFor = TimeSpan.FromSeconds(30) }] };
        Apply(control, drained);
        control.Step(_bed.State.Balancer, _bed.State.Connections);
        Assert.Equal(0, _bed.State.Balancer.Services[0].Backends[1].Share);
        Assert.NotNull(control.DrainLeft(drained, drained.Backends[1]));
        _bed.Twin.Environment.Advance(TimeSpan.FromSeconds(29));
        control.Step(_bed.State.Balancer, _bed.State.Connections);
        Assert.Equal(held, Open(1));

        _bed.Twin.Environment.Advance(TimeSpan.FromSeconds(2));
        control.Step(_bed.State.Balancer, _bed.State.Connections);
        control.Step(_bed.State.Balancer, _bed.State.Connections);
        Assert.Equal(0, Open(1));
        var cut = Assert.Single(control.Decisions.After(0), d => d.Decision.Kind == DecisionKind.Cut);
        Assert.Contains($"{held} connections were left", cut.Decision.Reason, StringComparison.Ordinal);
        Assert.DoesNotContain(_bed.State.Connections.List(), c => c.Backend.ToString() == "10.1.0.2");
        Assert.Contains(_bed.State.Connections.List(), c => c.Backend.ToString() == "10.1.0.1");
    }

    [Fact]
    public void A_drain_goes_on_where_the_agent_before_left_it_and_is_cut_at_its_time()
    {
        var drained = EdgeBed.Service("web", Vip, 80, IpProtocol.Tcp, EdgeBed.Backend("10.1.0.1", 80), EdgeBed.Backend("10.1.0.2", 80) with { Drain = true, DrainFor = TimeSpan.FromSeconds(30) });
        var killed = new BackendControl(_bed.Time, TimeProvider.System, monitor: null, Drains());
        Apply(killed, drained with { Backends = [drained.Backends[0], drained.Backends[1] with { Drain = false }] });
        for (ushort port = 1000; port < 1020; port++)
        {
            Pass(port, TcpFlags.Syn);
        }

        Apply(killed, drained);
        var held = Open(1);
        _bed.Twin.Environment.Advance(TimeSpan.FromSeconds(20));

        var next = new BackendControl(_bed.Time, TimeProvider.System, monitor: null, Drains());
        Apply(next, drained);
        Assert.Equal(10, next.DrainLeft(drained, drained.Backends[1])!.Value.TotalSeconds, 0.01);
        next.Step(_bed.State.Balancer, _bed.State.Connections);
        Assert.True(held > 0);
        Assert.Equal(held, Open(1));
        _bed.Twin.Environment.Advance(TimeSpan.FromSeconds(11));
        next.Step(_bed.State.Balancer, _bed.State.Connections);
        Assert.Equal(0, Open(1));

        // One that was over stays over, and one that was taken back begins anew.
        var third = new BackendControl(_bed.Time, TimeProvider.System, monitor: null, Drains());
        Apply(third, drained);
        third.Step(_bed.State.Balancer, _bed.State.Connections);
        Assert.DoesNotContain(third.Decisions.After(0), d => d.Decision.Kind == DecisionKind.Cut);
        Apply(third, drained with { Backends = [drained.Backends[0], drained.Backends[1] with { Drain = false }] });
        Apply(third, drained);
        Assert.Equal(30, third.DrainLeft(drained, drained.Backends[1])!.Value.TotalSeconds, 0.01);
    }

    [Fact]
    public async Task A_backend_that_health_checks_find_dead_leaves_the_ring()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var monitor = new HealthMonitor(TimeProvider.System, new Random(1));
        var changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        monitor.Changed += changed.SetResult;
        var control = new BackendControl(_bed.Time, TimeProvider.System, monitor, Drains());
        var port = (ushort)((IPEndPoint)listener.LocalEndpoint).Port;
        var service = EdgeBed.Service("web", Vip, 80, IpProtocol.Tcp, EdgeBed.Backend("127.0.0.1", port), EdgeBed.Backend("127.0.0.1", 1)) with
        {
            Health = new HealthCheck { Interval = TimeSpan.FromHours(1) },
        };
        Apply(control, service);
        await changed.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        control.Step(_bed.State.Balancer, _bed.State.Connections);
        Assert.Equal([1, 0], _bed.State.Balancer.Services[0].Backends.Select(b => b.Share));
        Assert.Contains("refused", Assert.Single(control.Decisions.After(0), d => d.Decision.Kind == DecisionKind.Dead).Decision.Reason, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public void An_agent_that_starts_goes_on_from_the_ring_and_one_that_runs_takes_what_is_declared()
    {
        var adaptive = new ServicePolicy { Adaptive = new() };
        ServiceModel Web(params int[] weights) => EdgeBed.Service("web", Vip, 80, IpProtocol.Tcp, [.. weights.Select((w, i) => EdgeBed.Backend($"10.1.0.{i + 1}", 80, w))]) with { Policy = adaptive };
        _bed.State.Balancer.Apply([Web(5, 1) with { Policy = ServicePolicy.Static }]);
        var running = new BackendControl(_bed.Time, TimeProvider.System, monitor: null, Drains());
        Apply(running, Web(1, 1));
        Assert.Equal(0.5, _bed.State.Balancer.Services[0].Backends[0].Share, 0.01);

        _bed.State.Balancer.Apply([Web(5, 1) with { Policy = ServicePolicy.Static }]);
        var restarted = new Balancer(_bed.Maps.Balancing);
        restarted.Apply([.. new BackendControl(_bed.Time, TimeProvider.System, monitor: null, Drains()).Adopt([Web(1, 1)], restarted)]);
        Assert.Equal(5 / 6d, restarted.Services[0].Backends[0].Share, 0.03);
    }

    private DrainStore Drains()
    {
        var store = new DrainStore(Path.Combine(_directory, "state", "drains.json"), _bed.Time, TimeProvider.System, "this");
        Assert.Null(store.Load());
        return store;
    }

    private void Apply(BackendControl control, params ServiceModel[] services) =>
        Assert.Empty(_bed.State.Balancer.Apply([.. control.Adopt(services, _bed.State.Balancer)]));

    private long Open(int backend) => _bed.State.Connections.OpenOf(_bed.State.Balancer.Services[0].Backends[backend].Id);

    private void Pass(ushort port, TcpFlags flags) => _bed.Run(PacketBuilder.Ethernet().IPv4("192.0.2.1", Vip).Tcp(port, 80, flags).Build());
}
