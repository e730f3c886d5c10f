using System.Net.Sockets;
using System.Text.Json;
using Skep.EndToEndTests.Surroundings;

namespace Skep.EndToEndTests.Balancing;

/// <summary>Two balancers and three backends by the resources of their agents: <c>secondChance</c> on balancers, <c>peers</c> on backends.</summary>
public sealed class SecondChanceTests
{
    private const int Connections = 60;
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    [KernelTheory]
    [InlineData("gue", false)]
    [InlineData("gue", true)]
    [InlineData("geneve", true)]
    public async Task Connections_survive_another_balancer_and_another_ring_at_the_same_time(string forwarding, bool isIPv6)
    {
        using var hosts = new SwitchedHosts();
        await hosts.BuildAsync();
        foreach (var backend in new[] { "b1", "b2", "b3" })
        {
            hosts.Serve(backend, SwitchedHosts.Port);
            await hosts.StartAgentAsync(backend, SwitchedHosts.Endpoint(backend, isIPv6));
        }

        foreach (var balancer in new[] { "lb", "lb2" })
        {
            await hosts.StartAgentAsync(balancer, Service(forwarding, isIPv6, 1, 1, 0));
            await Eventually.HoldsAsync(() => HasAsync(hosts, balancer, 1, 1, 0), s_limit, () => balancer);
        }

        var sockets = new List<TcpClient>();
        var owners = new List<string>();
        for (var i = 0; i < Connections; i++)
        {
            sockets.Add(await hosts.ConnectAsync(isIPv6));
            owners.Add(await SwitchedHosts.AskAsync(sockets[^1], 10));
        }

        Assert.Equal(["b1", "b2"], owners.Distinct().Order());

        // Both learn of the third backend and that the second one is to get no more; then the other balancer, which knows none of the connections, takes over.
        foreach (var balancer in new[] { "lb", "lb2" })
        {
            await hosts.WriteAsync(balancer, Service(forwarding, isIPv6, 1, 0, 1));
            await Eventually.HoldsAsync(() => HasAsync(hosts, balancer, 1, 0, 1), s_limit, () => balancer);
        }

        await hosts.RouteByAsync("lb2");
        for (var i = 0; i < Connections; i++)
        {
            Assert.Equal(owners[i], await SwitchedHosts.AskAsync(sockets[i], 10));
        }

        // At least those of the second backend came by the third one.
        var ofSecond = owners.Count(o => o == "b2");
        Assert.True(await CountAsync(hosts, "lb2", "forwarded_two_hops") >= ofSecond);
        Assert.True(await CountAsync(hosts, "b3", "sent_on") >= ofSecond);
        Assert.Equal(0, await CountAsync(hosts, "lb", "forwarded_two_hops"));

        // New ones go where the ring says.
        var fresh = new HashSet<string>();
        for (var i = 0; i < Connections; i++)
        {
            using var client = await hosts.ConnectAsync(isIPv6);
            fresh.Add(await SwitchedHosts.AskAsync(client, 10));
        }

        Assert.Equal(["b1", "b3"], fresh.Order());
        sockets.ForEach(s => s.Dispose());
    }

    private static async Task<bool> HasAsync(SwitchedHosts hosts, string balancer, params int[] weights)
    {
        using var backends = JsonDocument.Parse((await hosts.SkepAsync(balancer, "backends", "--json")).Output);
        var all = backends.RootElement.EnumerateArray().ToArray();
        return all.All(b => b.GetProperty("reachable").GetBoolean()) && all.Select(b => b.GetProperty("weight").GetInt32()).SequenceEqual(weights);
    }

    private static async Task<long> CountAsync(SwitchedHosts hosts, string role, string verdict)
    {
        var name = $"skep_edge_packets_total{{verdict=\"{verdict}\"}} ";
        var line = (await hosts.SkepAsync(role, "metrics")).Output.Split('\n').Single(l => l.StartsWith(name, StringComparison.Ordinal));
        return long.Parse(line[name.Length..], System.Globalization.CultureInfo.InvariantCulture);
    }

    private static string Service(string forwarding, bool isIPv6, params int[] weights) => $"""
        apiVersion: skep.dev/v1
        kind: LoadBalancer
        metadata:
          name: web
        spec:
          interfaces: [eth0]
          addresses: ["{SwitchedHosts.Vip(isIPv6)}"]
          forwarding: {forwarding}
          secondChance: true
          ports:
            - port: {SwitchedHosts.Port}
          backends:
        {string.Join('\n', weights.Select((weight, i) => $"    - {{address: \"{SwitchedHosts.AddressOf($"b{i + 1}", isIPv6)}\", weight: {weight}}}"))}
        """;
}
