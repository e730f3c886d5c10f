using System.Net;
using System.Net.Sockets;
using Skep.Balancing;
using Skep.Balancing.Health;
using Skep.Packets;

namespace Skep.Tests.Balancing.Health;

public sealed class HealthMonitorTests
{
    private static readonly HealthCheck s_often = new() { Interval = TimeSpan.FromMilliseconds(20), Healthy = 2, Unhealthy = 2 };

    [Fact]
    public async Task Life_and_death_are_noticed_and_told()
    {
        using var monitor = new HealthMonitor(TimeProvider.System, new Random(1));
        var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var target = new CheckTarget((IPEndPoint)listener.LocalEndpoint);
        var changes = 0;
        monitor.Changed += () => Interlocked.Increment(ref changes);
        monitor.Watch([(target, s_often)]);
        await UntilAsync(() => monitor.StateOf(target, s_often).Checks > 0);
        Assert.True(monitor.StateOf(target, s_often).IsAlive);
        Assert.Equal(0, changes);

        listener.Stop();
        await UntilAsync(() => !monitor.StateOf(target, s_often).IsAlive);
        Assert.Contains("refused", monitor.StateOf(target, s_often).Reason, StringComparison.OrdinalIgnoreCase);
        listener = new TcpListener(target.Backend);
        listener.Start();
        await UntilAsync(() => monitor.StateOf(target, s_often).IsAlive);
        await UntilAsync(() => Volatile.Read(ref changes) == 2);
        listener.Stop();
    }

    [Fact]
    public async Task What_is_not_wanted_any_more_is_not_asked_and_nothing_is_known_of_it()
    {
        using var monitor = new HealthMonitor(TimeProvider.System, new Random(1));
        var nobody = new CheckTarget(new IPEndPoint(IPAddress.Loopback, 1));
        monitor.Watch([(nobody, s_often)]);
        await UntilAsync(() => !monitor.StateOf(nobody, s_often).IsAlive);
        monitor.Watch([(nobody, s_often with { Interval = TimeSpan.FromHours(1) })]);
        Assert.Same(HealthState.Unknown, monitor.StateOf(nobody, s_often));
    }

    [Fact]
    public async Task No_more_checks_run_at_once_than_are_allowed()
    {
        using var monitor = new HealthMonitor(TimeProvider.System, new Random(1), atOnce: 2);
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var target = new CheckTarget((IPEndPoint)listener.LocalEndpoint);
        // Nobody answers: each check holds its place until its connection is taken here.
        monitor.Watch(Enumerable.Range(0, 10).Select(i => (target, new HealthCheck { Type = HealthCheckType.Http, Path = $"/{i}", Timeout = TimeSpan.FromMinutes(1), Interval = TimeSpan.FromHours(1) })));
        var first = await listener.AcceptTcpClientAsync(TestContext.Current.CancellationToken);
        var second = await listener.AcceptTcpClientAsync(TestContext.Current.CancellationToken);
        Assert.False(listener.Pending());
        first.Dispose();
        using var third = await listener.AcceptTcpClientAsync(TestContext.Current.CancellationToken);
        second.Dispose();
    }

    [Fact]
    public async Task Through_a_tunnel_what_lacks_on_this_host_is_told()
    {
        using var monitor = new HealthMonitor(TimeProvider.System, new Random(1));
        var backend = IpAddress.Parse("10.0.0.1");
        var check = s_often with { Through = CheckThrough.Tunnel };
        var target = new CheckTarget(new IPEndPoint(backend.ToIPAddress(), 80), new TunnelPath(backend, ForwardingMode.IpIp, IpAddress.Parse("192.0.2.1")));
        monitor.Watch([(target, check)]);
        await UntilAsync(() => monitor.StateOf(target, check).Checks > 0);
        Assert.Equal((false, "this host has no route to 10.0.0.1"), (monitor.StateOf(target, check).IsAlive, monitor.StateOf(target, check).Reason));
        monitor.SetNextHops(new Dictionary<IpAddress, BackendPath> { [backend] = new(IpAddress.Parse("10.0.0.9"), 1500) });
        await UntilAsync(() => monitor.StateOf(target, check).Reason.StartsWith("the next hop on the way to 10.0.0.1 does not answer", StringComparison.Ordinal));
    }

    // The condition comes true by itself or the test runs into its time limit.
    private static async Task UntilAsync(Func<bool> condition)
    {
        while (!condition())
        {
            await Task.Delay(5, TestContext.Current.CancellationToken);
        }
    }
}
