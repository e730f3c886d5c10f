using System.Text.Json;
using Skep.EndToEndTests.Surroundings;

namespace Skep.EndToEndTests.Balancing;

/// <summary>Real TCP through a balancer that tunnels to two backends, whose answers go to the client past the balancer.</summary>
public sealed class DirectReturnTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    [KernelTheory]
    [InlineData("ipip", "auto")]
    [InlineData("gue", "auto")]
    [InlineData("geneve", "auto")]
    [InlineData("ipip", "xdp")]
    [InlineData("l2", "auto")]
    public async Task Connections_reach_both_backends_and_answers_come_back_past_the_balancer(string forwarding, string endpointHook)
    {
        using var hosts = new BalancerHosts();
        await hosts.BuildAsync();
        foreach (var x in new[] { 1, 2 })
        {
            hosts.Serve($"b{x}");
            await hosts.StartAgentAsync($"b{x}", BalancerHosts.Endpoint(x, endpointHook));
            Assert.Contains(endpointHook == "auto" ? "tcx-edge" : "xdp", (await hosts.SkepAsync($"b{x}", "status")).Output, StringComparison.Ordinal);
        }

        var balancer = await hosts.StartAgentAsync(hosts.Balancer, Service(forwarding, [1, 2]));

        // The first connection waits for the neighbours of the balancer to answer.
        await Eventually.HoldsAsync(async () => (await hosts.AskAsync(1)).Length == 2, s_limit, () => balancer.Output);
        var names = new HashSet<string>();
        for (var i = 0; i < 40; i++)
        {
            names.Add(await hosts.AskAsync(100));
        }

        Assert.Equal(["b1", "b2"], names.Order());

        // More than fits with the outer headers: the client is told, and sends smaller packets.
        using var kept = await hosts.ConnectAsync();
        var owner = await BalancerHosts.AskAsync(kept, 300_000);
        Assert.Contains(owner, names);

        // A connection outlives the agent, however it ends, and a change of the backends.
        balancer.Kill();
        await balancer.EndsAsync(s_limit);
        Assert.Equal(owner, await BalancerHosts.AskAsync(kept, 100));
        var next = await hosts.StartAgentAsync(hosts.Balancer, Service(forwarding, [1, 2]));
        Assert.Equal(owner, await BalancerHosts.AskAsync(kept, 100));
        await hosts.WriteAsync(hosts.Balancer, Service(forwarding, [1, 2], drained: int.Parse(owner[1..], System.Globalization.CultureInfo.InvariantCulture)));
        await Eventually.HoldsAsync(async () => await hosts.AskAsync(1) != owner && await hosts.AskAsync(1) != owner && await hosts.AskAsync(1) != owner, s_limit, () => next.Output);
        Assert.Equal(owner, await BalancerHosts.AskAsync(kept, 100));

        using var backends = JsonDocument.Parse((await hosts.SkepAsync(hosts.Balancer, "backends", "--json")).Output);
        var text = backends.RootElement.ToString();
        Assert.Contains("\"replyPackets\": 0", text, StringComparison.Ordinal);
        Assert.Contains("\"reachable\": true", text, StringComparison.Ordinal);
        Assert.DoesNotContain("\"reachable\": false", text, StringComparison.Ordinal);
        var status = (await hosts.SkepAsync(hosts.Balancer, "metrics")).Output;
        Assert.Contains("verdict=\"too_big\"", status, StringComparison.Ordinal);
    }

    private static string Service(string forwarding, int[] backends, int drained = 0) => $"""
        apiVersion: skep.dev/v1
        kind: LoadBalancer
        metadata:
          name: web
        spec:
          interfaces: [client, b1, b2]
          addresses: [{BalancerHosts.Vip}]
          forwarding: {forwarding}
          ports:
            - port: {BalancerHosts.Port}
          backends:
        {string.Join('\n', backends.Select(x => $"    - {{address: 198.18.8{x}.2, weight: {(x == drained ? 0 : 1)}}}"))}
        """;
}
