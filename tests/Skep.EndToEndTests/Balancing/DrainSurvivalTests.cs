using System.Net.Sockets;
using System.Text.Json;
using Skep.EndToEndTests.Surroundings;

namespace Skep.EndToEndTests.Balancing;

public sealed class DrainSurvivalTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    [KernelFact]
    public async Task A_drain_keeps_its_deadline_and_its_connections_when_the_agent_is_killed()
    {
        using var hosts = new BalancerHosts(backends: 2, direct: false);
        await hosts.BuildAsync();
        hosts.Serve("b1");
        hosts.Serve("b2");
        var agent = await hosts.StartAgentAsync(hosts.Balancer, Resources("false"), "--observe", "lo");
        using var held = await ConnectToAsync(hosts, "b2");
        Assert.Contains("No backend is drained", (await hosts.SkepAsync(hosts.Balancer, "drain")).Output, StringComparison.Ordinal);
        await hosts.WriteAsync(hosts.Balancer, Resources("{for: 1h}"));
        await Eventually.HoldsAsync(async () => (await DrainsAsync(hosts)).Length == 1, s_limit, () => agent.Output);
        var before = Assert.Single(await DrainsAsync(hosts));
        Assert.Equal(1, before.Connections);

        agent.Kill();
        await agent.EndsAsync(s_limit);
        agent = await hosts.StartAgentAsync(hosts.Balancer, Resources("{for: 1h}"), "--observe", "lo");

        // An hour from the beginning, not from the start of this agent, which alone takes longer than this.
        var after = Assert.Single(await DrainsAsync(hosts));
        Assert.Equal(("198.18.82.2", 1), (after.Address, after.Connections));
        Assert.Equal(before.Ends, after.Ends, TimeSpan.FromSeconds(0.5));
        Assert.True(after.Seconds is > 0 and < 3600);
        var shown = (await hosts.SkepAsync(hosts.Balancer, "drain")).Output;
        Assert.Contains("198.18.82.2:8000", shown, StringComparison.Ordinal);
        Assert.Equal("b2", await BalancerHosts.AskAsync(held, 10));

        // By a shorter deadline it has been over since before this agent.
        await hosts.WriteAsync(hosts.Balancer, Resources("{for: 1s}"));
        await Eventually.HoldsAsync(async () => (await DrainsAsync(hosts)).Single() is { Connections: 0, Seconds: <= 0 }, s_limit, () => agent.Output);
        await Assert.ThrowsAnyAsync<IOException>(() => BalancerHosts.AskAsync(held, 10));
        Assert.Equal("b1", await hosts.AskAsync(10));
    }

    private static async Task<TcpClient> ConnectToAsync(BalancerHosts hosts, string backend)
    {
        while (true)
        {
            var client = await hosts.ConnectAsync();
            if (await BalancerHosts.AskAsync(client, 10) == backend)
            {
                return client;
            }

            client.Dispose();
        }
    }

    private static async Task<(string Address, int Connections, DateTimeOffset Ends, double Seconds)[]> DrainsAsync(BalancerHosts hosts)
    {
        var (code, output) = await hosts.SkepAsync(hosts.Balancer, "drain", "--json");
        Assert.True(code == 0, output);
        using var json = JsonDocument.Parse(output);
        return
        [
            .. json.RootElement.EnumerateArray().Select(d => (
                d.GetProperty("address").GetString()!, d.GetProperty("active").GetInt32(), d.GetProperty("drainEnds").GetDateTimeOffset(), d.GetProperty("drainSeconds").GetDouble())),
        ];
    }

    private static string Resources(string drain) => $$"""
        apiVersion: skep.dev/v1
        kind: LoadBalancer
        metadata: {name: web}
        spec:
          interfaces: [client, b1, b2]
          addresses: [{{BalancerHosts.Vip}}]
          ports: [{port: {{BalancerHosts.Port}}}]
          backends:
            - {address: 198.18.81.2}
            - {address: 198.18.82.2, drain: {{drain}}}
        """;
}
