using System.Text.Json;
using Skep.EndToEndTests.Surroundings;

namespace Skep.EndToEndTests.Balancing;

/// <summary>A live connection, followed packet by packet by the command.</summary>
public sealed class TraceTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    [KernelTheory]
    [InlineData("nat", 3, "Its destination is rewritten to 198.18.81.2:8000.", "The connection table knows it as the answer of 198.18.81.2:8000")]
    [InlineData("ipip", 2, "It is put in outer headers (ipip) from 198.18.81.1 to 198.18.81.2.", "It is sent out of b1, with ")]
    public async Task The_packets_of_a_connection_are_told_one_by_one(string forwarding, int count, string change, string other)
    {
        using var hosts = new BalancerHosts(1, direct: forwarding != "nat");
        await hosts.BuildAsync();
        hosts.Serve("b1");
        if (forwarding != "nat")
        {
            await hosts.StartAgentAsync("b1", BalancerHosts.Endpoint(1));
        }

        var balancer = await hosts.StartAgentAsync(hosts.Balancer, Service(forwarding));
        await Eventually.HoldsAsync(async () => await hosts.AskAsync(1) == "b1", s_limit, () => balancer.Output);
        using var trace = await TraceAsync(hosts, "198.18.80.2", "--count", $"{count}");
        Assert.Equal("b1", await hosts.AskAsync(1));
        Assert.Equal(0, await trace.EndsAsync(s_limit));
        Assert.Contains($"request: TCP SYN 198.18.80.2:", trace.Output, StringComparison.Ordinal);
        Assert.Contains($"{BalancerHosts.Vip}:{BalancerHosts.Port}/tcp is service 'web' ({forwarding}).", trace.Output, StringComparison.Ordinal);
        Assert.Contains("It came in by client, at ", trace.Output, StringComparison.Ordinal);
        Assert.Contains("of the ring, which belongs to 198.18.81.2:8000.", trace.Output, StringComparison.Ordinal);
        Assert.Contains("table knows it: it belongs to 198.18.81.2:8000.", trace.Output, StringComparison.Ordinal);
        Assert.Contains(change, trace.Output, StringComparison.Ordinal);
        Assert.Contains(other, trace.Output, StringComparison.Ordinal);
        Assert.EndsWith($"{count} packets.", trace.Output.TrimEnd(), StringComparison.Ordinal);

        // As JSON, with a time that is over before the packets are, and one trace at a time.
        using var first = await TraceAsync(hosts, "198.18.80.2:1", "--for", "1h");
        using (var second = Start(hosts, "198.18.80.2"))
        {
            Assert.NotEqual(0, await second.EndsAsync(s_limit));
            Assert.Contains("Another trace is running", second.Output, StringComparison.Ordinal);
        }

        first.Kill();
        await first.EndsAsync(s_limit);

        // The one that was killed ends with its connection.
        var lines = "";
        await Eventually.HoldsAsync(
            async () =>
            {
                using var next = Start(hosts, "198.18.80.2", "--for", "2s", "--json");
                var ends = next.EndsAsync(s_limit);
                while (!ends.IsCompleted)
                {
                    await hosts.AskAsync(1);
                }

                lines = next.Output;
                return await ends == 0 && lines.Contains('{', StringComparison.Ordinal);
            },
            s_limit, () => lines);
        using var packet = JsonDocument.Parse(lines.Split('\n')[0]);
        Assert.Equal("198.18.81.2:8000", packet.RootElement.GetProperty("backend").GetString());
        Assert.Equal("b1", await hosts.AskAsync(1));
    }

    private static ChildProcess Start(BalancerHosts hosts, string client, params string[] options) =>
        Repository.Skep(["lb", "trace", "--instance", hosts.InstanceOf(hosts.Balancer), client, $"{BalancerHosts.Vip}:{BalancerHosts.Port}", .. options]);

    // Started, and told so: its packets are seen from now on.
    private static async Task<ChildProcess> TraceAsync(BalancerHosts hosts, string client, params string[] options)
    {
        var trace = Start(hosts, client, options);
        await Eventually.HoldsAsync(() => Task.FromResult(trace.Output.Contains("Tracing", StringComparison.Ordinal)), s_limit, () => trace.Output);
        return trace;
    }

    private static string Service(string forwarding) => $"""
        apiVersion: skep.dev/v1
        kind: LoadBalancer
        metadata:
          name: web
        spec:
          interfaces: [client, b1]
          addresses: [{BalancerHosts.Vip}]
          forwarding: {forwarding}
          ports:
            - port: {BalancerHosts.Port}
          backends:
            - address: 198.18.81.2
        """;
}
