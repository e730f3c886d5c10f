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

    /// <summary>
    /// Three backends that serve TLS: one as it should be, one without an end of the tunnel, one that answers with an error. All questions but that of a backend by its own address
    /// come in outer headers.
    /// </summary>
    [KernelTheory]
    [InlineData("ipip", false)]
    [InlineData("gue", true)]
    public async Task Checks_over_TLS_go_through_the_tunnel(string forwarding, bool isIPv6)
    {
        using var hosts = new SwitchedHosts();
        await hosts.BuildAsync();
        using HttpsServer good = new("b1", 200), alone = new("b2", 200), ill = new("b3", 503);
        foreach (var (role, server) in new[] { ("b1", good), ("b2", alone), ("b3", ill) })
        {
            _ = server.ServeAsync(hosts.Listen(role, SwitchedHosts.Port));
        }

        await hosts.StartAgentAsync("b1", SwitchedHosts.Endpoint("b1", isIPv6));
        await hosts.StartAgentAsync("b3", SwitchedHosts.Endpoint("b3", isIPv6));
        var balancer = await hosts.StartAgentAsync("lb", Secure(forwarding, isIPv6));
        Task<(string State, string? Reason)> StateOf(string role) => StateAsync(hosts, "lb", SwitchedHosts.AddressOf(role, isIPv6));

        await Eventually.HoldsAsync(async () => await StateOf("b1") is ("up", { } why) && why.StartsWith("status 200 in ", StringComparison.Ordinal)
            && why.EndsWith(" through the tunnel", StringComparison.Ordinal), s_limit, () => balancer.Output);
        await Eventually.HoldsAsync(async () => (await StateOf("b2")).State == "dead" && (await StateOf("b3")).State == "dead", s_limit, () => balancer.Output);
        var own = isIPv6 ? $"[{SwitchedHosts.AddressOf("b2", isIPv6)}]" : SwitchedHosts.AddressOf("b2", isIPv6);
        Assert.StartsWith($"no answer in 500 ms through the tunnel ({forwarding}), but its own address {own}:{SwitchedHosts.Port} answers (status 200 in ", (await StateOf("b2")).Reason, StringComparison.Ordinal);
        Assert.StartsWith($"status 503 through the tunnel ({forwarding}), and by its own address", (await StateOf("b3")).Reason, StringComparison.Ordinal);

        // Clients are served by the one that lives, and by the other one once it takes outer headers off.
        Assert.Equal(["b1"], await AskAsync(hosts, isIPv6, 10));
        await hosts.StartAgentAsync("b2", SwitchedHosts.Endpoint("b2", isIPv6));
        await Eventually.HoldsAsync(async () => (await StateOf("b2")).State == "up", s_limit, () => balancer.Output);
        Assert.Equal(["b1", "b2"], await AskAsync(hosts, isIPv6, 40));
    }

    private static async Task<IEnumerable<string>> AskAsync(SwitchedHosts hosts, bool isIPv6, int connections)
    {
        using var stop = new CancellationTokenSource(s_limit);
        var names = new SortedSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < connections; i++)
        {
            using var client = await hosts.ConnectAsync(isIPv6);
            names.Add((await HttpsServer.AskAsync(client, stop.Token))[^2..]);
        }

        return names;
    }

    private static string Secure(string forwarding, bool isIPv6) => $"""
        apiVersion: skep.dev/v1
        kind: LoadBalancer
        metadata:
          name: web
        spec:
          interfaces: [eth0]
          addresses: ["{SwitchedHosts.Vip(isIPv6)}"]
          forwarding: {forwarding}
          healthCheck: {"{"}type: https, path: /, through: tunnel, interval: 500ms, timeout: 500ms{"}"}
          ports:
            - port: {SwitchedHosts.Port}
          backends:
        {string.Join('\n', Enumerable.Range(1, 3).Select(x => $"    - address: \"{SwitchedHosts.AddressOf($"b{x}", isIPv6)}\""))}
        """;

    private static Task<(string State, string? Reason)> StateAsync(BalancerHosts hosts, int x) => StateAsync(hosts, hosts.Balancer, $"198.18.8{x}.2");

    private static async Task<(string State, string? Reason)> StateAsync(NamespaceHosts hosts, string balancer, string address)
    {
        using var backends = JsonDocument.Parse((await hosts.SkepAsync(balancer, "backends", "--json")).Output);
        var backend = backends.RootElement.EnumerateArray().Single(b => b.GetProperty("address").GetString() == address);
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
