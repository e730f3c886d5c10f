using System.Text.Json;
using Skep.EndToEndTests.Surroundings;

namespace Skep.EndToEndTests.Balancing;

/// <summary>Weights that follow what clients acknowledge, because answers go past the balancer.</summary>
public sealed class DirectWeightsTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    [KernelFact]
    public async Task A_backend_that_becomes_slow_loses_its_surplus_and_regains_it_and_the_reason_is_told()
    {
        using var hosts = new BalancerHosts(3);
        await hosts.BuildAsync();
        var slow = TimeSpan.FromMilliseconds(2);
        foreach (var x in new[] { 1, 2, 3 })
        {
            hosts.Serve($"b{x}", delay: () => x == 2 ? slow : TimeSpan.FromMilliseconds(2));
            await hosts.StartAgentAsync($"b{x}", BalancerHosts.Endpoint(x));
        }

        var balancer = await hosts.StartAgentAsync(hosts.Balancer, Service);
        await Eventually.HoldsAsync(async () => (await hosts.AskAsync(1)).Length == 2, s_limit, () => balancer.Output);
        using var stop = new CancellationTokenSource();
        var clients = Enumerable.Range(0, 16).Select(_ => Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                await hosts.AskAsync(100);
            }
        })).ToArray();
        await Eventually.HoldsAsync(async () => await ShareAsync(hosts) is > 0.25 and < 0.42 && await ResponsesAsync(hosts) == 3, s_limit, () => balancer.Output);
        slow = TimeSpan.FromMilliseconds(60);
        await Eventually.HoldsAsync(async () => await ShareAsync(hosts) < 0.1, s_limit, () => balancer.Output);
        var history = (await hosts.SkepAsync(hosts.Balancer, "backends", "--history", "--json")).Output;
        using var decisions = JsonDocument.Parse(history);
        Assert.Contains(decisions.RootElement.EnumerateArray(), d =>
            d.GetProperty("backend").GetString() == $"198.18.82.2:{BalancerHosts.Port}" && d.GetProperty("kind").GetString() == "less"
            && d.GetProperty("reason").GetString()!.StartsWith("answers take ", StringComparison.Ordinal));
        slow = TimeSpan.FromMilliseconds(2);
        await Eventually.HoldsAsync(async () => await ShareAsync(hosts) > 0.25, s_limit, () => balancer.Output);
        await stop.CancelAsync();
        await Task.WhenAll(clients);
    }

    private static async Task<double> ShareAsync(BalancerHosts hosts)
    {
        using var backends = JsonDocument.Parse((await hosts.SkepAsync(hosts.Balancer, "backends", "--json")).Output);
        return backends.RootElement.EnumerateArray().Single(b => b.GetProperty("address").GetString() == "198.18.82.2").GetProperty("share").GetDouble();
    }

    private static async Task<int> ResponsesAsync(BalancerHosts hosts)
    {
        using var backends = JsonDocument.Parse((await hosts.SkepAsync(hosts.Balancer, "backends", "--json")).Output);
        return backends.RootElement.EnumerateArray().Count(b => b.TryGetProperty("responseMicroseconds", out var took) && took.ValueKind == JsonValueKind.Number);
    }

    private static string Service => $"""
        apiVersion: skep.dev/v1
        kind: LoadBalancer
        metadata:
          name: web
        spec:
          interfaces: [client, b1, b2, b3]
          addresses: [{BalancerHosts.Vip}]
          forwarding: ipip
          adaptive: true
          ports:
            - port: {BalancerHosts.Port}
          backends:
            - address: 198.18.81.2
            - address: 198.18.82.2
            - address: 198.18.83.2
        """;
}
