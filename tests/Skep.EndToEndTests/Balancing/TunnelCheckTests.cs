using System.Text.Json;
using Skep.EndToEndTests.Surroundings;

namespace Skep.EndToEndTests.Balancing;

/// <summary>Health checks that go the way of clients' packets, by the agent.</summary>
public sealed class TunnelCheckTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    [KernelTheory]
    [InlineData("ipip")]
    [InlineData("geneve")]
    public async Task A_backend_whose_end_of_the_tunnel_is_not_set_up_is_dead_and_the_reason_says_so(string forwarding)
    {
        using var hosts = new BalancerHosts();
        await hosts.BuildAsync();
        foreach (var x in new[] { 1, 2 })
        {
            hosts.Serve($"b{x}");
        }

        await hosts.StartAgentAsync("b1", BalancerHosts.Endpoint(1));
        var balancer = await hosts.StartAgentAsync(hosts.Balancer, Service(forwarding));
        await Eventually.HoldsAsync(async () => await StateAsync(hosts, 1) is ("up", { } why) && why.EndsWith("through the tunnel", StringComparison.Ordinal), s_limit, () => balancer.Output);
        await Eventually.HoldsAsync(async () => (await StateAsync(hosts, 2)).State == "dead", s_limit, () => balancer.Output);
        var reason = (await StateAsync(hosts, 2)).Reason;
        Assert.StartsWith($"no answer in 500 ms through the tunnel ({forwarding}), but its own address 198.18.82.2:{BalancerHosts.Port} answers (connected in ", reason, StringComparison.Ordinal);
        Assert.Contains($"take the outer headers off, have {BalancerHosts.Vip} on its loopback device", reason, StringComparison.Ordinal);
        Assert.Equal("b1", await hosts.AskAsync(1));

        // Set up, it gets its share.
        await hosts.StartAgentAsync("b2", BalancerHosts.Endpoint(2));
        await Eventually.HoldsAsync(async () => (await StateAsync(hosts, 2)).State == "up", s_limit, () => balancer.Output);

        // Nothing of it outlives the agent.
        Assert.Contains(hosts.Devices(hosts.Balancer), d => d.StartsWith("skep", StringComparison.Ordinal));
        balancer.Kill();
        await balancer.EndsAsync(s_limit);
        await Eventually.HoldsAsync(() => Task.FromResult(!hosts.Devices(hosts.Balancer).Any(d => d.StartsWith("skep", StringComparison.Ordinal))), s_limit, () => balancer.Output);
    }

    private static async Task<(string State, string? Reason)> StateAsync(BalancerHosts hosts, int x)
    {
        using var backends = JsonDocument.Parse((await hosts.SkepAsync(hosts.Balancer, "backends", "--json")).Output);
        var backend = backends.RootElement.EnumerateArray().Single(b => b.GetProperty("address").GetString() == $"198.18.8{x}.2");
        return (backend.GetProperty("state").GetString()!, backend.TryGetProperty("reason", out var reason) ? reason.GetString() : null);
    }

    private static string Service(string forwarding) => $"""
        apiVersion: skep.dev/v1
        kind: LoadBalancer
        metadata:
          name: web
        spec:
          interfaces: [client]
          addresses: [{BalancerHosts.Vip}]
          forwarding: {forwarding}
          healthCheck: {"{"}type: tcp, through: tunnel, interval: 500ms, timeout: 500ms{"}"}
          ports:
            - port: {BalancerHosts.Port}
          backends:
            - address: 198.18.81.2
            - address: 198.18.82.2
        """;
}
