using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Skep.Agent.Api;
using Skep.Cli;
using Skep.EndToEndTests.Surroundings;

namespace Skep.EndToEndTests.Balancing;

/// <summary>
/// Everything that happens to a balancer while it is in use, under thousands of new connections a second and with others open all the time: none breaks whose backend stays.
/// </summary>
public sealed class ConnectionSurvivalTests
{
    private const int ShortPort = 8000, LastingPort = 8001;
    private const int PerSecond = 6000;
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    [KernelTheory]
    [InlineData("nat", "tc")]
    [InlineData("nat", "xdp")]
    [InlineData("ipip", "xdp")]
    public async Task No_change_of_the_balancer_breaks_a_connection_to_a_backend_that_stays(string forwarding, string hook)
    {
        var isDirect = forwarding != "nat";
        using var hosts = new BalancerHosts(backends: 3, isDirect);
        await hosts.BuildAsync();
        await PrepareAsync(hosts, isDirect, hook);
        var agent = await hosts.StartAgentAsync(hosts.Balancer, "# none", "--observe", "lo");
        var resources = new Resources(forwarding, hook);
        await ApplyAsync(hosts, resources with { Weights = [1, 1, null] });
        await Eventually.HoldsAsync(async () => (await hosts.AskAsync(1, LastingPort)).Length == 2, s_limit, () => agent.Output);

        using var brief = ShortConnections.Start(hosts, ShortPort, PerSecond);
        var lasting = new LastingConnections();
        var took = new List<string>();
        var last = TimeProvider.System.GetTimestamp();
        void Step(string name)
        {
            took.Add(string.Create(CultureInfo.InvariantCulture, $"{TimeProvider.System.GetElapsedTime(last).TotalSeconds:0.0} s until {name}"));
            (brief.Step, lasting.Step, last) = (name, name, TimeProvider.System.GetTimestamp());
        }

        await lasting.OpenAsync(hosts, LastingPort, 16);
        await brief.MoreAsync(1000);

        Step("a backend is added");
        await ApplyAsync(hosts, resources with { Weights = [1, 1, 1] });
        await lasting.OpenAsync(hosts, LastingPort, 16);
        await brief.MoreAsync(1000);
        Assert.Equal(["b1", "b2", "b3"], lasting.Owners.Order());
        Assert.True(brief.From("b3") > 0);

        Step("weights change");
        for (var i = 0; i < 10; i++)
        {
            await ApplyAsync(hosts, resources with { Weights = [1 + (i * 7 % 5), 1 + (i * 3 % 4), 1 + (i * 5 % 6)] });
        }

        await brief.MoreAsync(1000);

        Step("the programs are compiled anew");
        for (var i = 0; i < 2; i++)
        {
            await ApplyAsync(hosts, resources with { Weights = [1, 1, 1], HasMore = true });
            await ApplyAsync(hosts, resources with { Weights = [1, 1, 1] });
        }

        await brief.MoreAsync(1000);

        // With rings of which most changes, so that a connection which is not carried over has another backend.
        Step("the tables get other sizes");
        await ApplyAsync(hosts, resources with { Weights = [1, 1, 40], Sizes = "services: 3000, backends: 40000, ringRows: 3000000, connections: 300000, flows: 2000000" });
        await brief.MoreAsync(1000);
        await ApplyAsync(hosts, resources with { Weights = [40, 1, 1], Sizes = "services: 100, backends: 300, ringRows: 100000, connections: 100000, flows: 100000" });
        await brief.MoreAsync(1000);
        await ApplyAsync(hosts, resources with { Weights = [1, 1, 1] });
        await brief.MoreAsync(1000);

        Step("the agent is killed");
        agent.Kill();
        await agent.EndsAsync(s_limit);
        await brief.MoreAsync(1000);

        Step("another agent takes over, with tables of other sizes");
        agent = await hosts.StartAgentAsync(hosts.Balancer, TableSizes("services: 3000, backends: 40000, connections: 300000, flows: 2000000"), "--observe", "lo");
        await ApplyAsync(hosts, resources with { Weights = [1, 1, 40] });
        await brief.MoreAsync(1000);

        Step("the agent is replaced in good order");
        agent.Signal(PosixSignal.SIGTERM);
        Assert.Equal(0, await agent.EndsAsync(s_limit));
        await brief.MoreAsync(1000);
        await hosts.StartAgentAsync(hosts.Balancer, "# none", "--observe", "lo");
        await brief.MoreAsync(1000);

        Step("a backend is drained and removed");
        await ApplyAsync(hosts, resources with { Weights = [2, 2, 0] });
        brief.CountAnew();
        await brief.MoreAsync(2000);
        Assert.Empty(brief.Errors);
        Assert.Equal(0, brief.Since("b3"));
        Assert.True(brief.Since("b1") > 0);
        await lasting.StopAsync("b3");
        await ApplyAsync(hosts, resources with { Weights = [2, 2, null] });
        await brief.MoreAsync(1000);

        Step("the end");
        await Task.WhenAll(brief.StopAsync(), lasting.StopAsync());
        TestContext.Current.TestOutputHelper!.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{forwarding} {hook}: {brief.Answered} short connections, {brief.Rate:0} a second, with a packet lost {brief.Slow}; {lasting.Answered} answers in 32 lasting ones; {string.Join(", ", took)}"));
        Assert.Empty(brief.Errors);
        Assert.Empty(lasting.Errors);
    }

    private static async Task PrepareAsync(BalancerHosts hosts, bool isDirect, string hook)
    {
        for (var x = 1; x <= 3; x++)
        {
            ShortConnections.Serve(hosts, $"b{x}", ShortPort);
            hosts.Serve($"b{x}", LastingPort);
            if (!isDirect && hook == "xdp")
            {
                hosts.DisableTransmitChecksum($"b{x}");
            }
        }

        if (!isDirect && hook == "xdp")
        {
            hosts.DisableTransmitChecksum("client");
        }

        if (isDirect)
        {
            await Task.WhenAll(Enumerable.Range(1, 3).Select(x => hosts.StartAgentAsync($"b{x}", BalancerHosts.Endpoint(x), "--observe", "lo")));
        }
    }

    private static async Task ApplyAsync(BalancerHosts hosts, Resources resources)
    {
        using var client = AgentClient.For(hosts.InstanceOf(hosts.Balancer), null);
        var outcome = await client.PostYamlAsync(
            "api/v1/resources?dryRun=false&file=test", Encoding.UTF8.GetBytes(resources.ToYaml()), ApiJson.Default.ApplyView, CancellationToken.None);
        Assert.True(outcome.Applied);
        Assert.Empty(outcome.Problems);
    }

    private static string TableSizes(string sizes) => $$"""
        apiVersion: skep.dev/v1
        kind: TableSizes
        metadata: {name: tables}
        spec: { {{sizes}} }
        """;

    /// <summary>What the balancer is asked for.</summary>
    /// <param name="Forwarding">How packets reach backends.</param>
    /// <param name="Hook">Where the program runs.</param>
    private sealed record Resources(string Forwarding, string Hook)
    {
        /// <summary>Weights of the backends; null for one that is not listed.</summary>
        public IReadOnlyList<int?> Weights { get; init; } = [];

        /// <summary>Sizes of tables; null for those there are when nothing is said.</summary>
        public string? Sizes { get; init; }

        /// <summary>Whether something else is asked for that makes other programs necessary: blocked prefixes, an endpoint in other headers.</summary>
        public bool HasMore { get; init; }

        public string ToYaml()
        {
            var backends = string.Join('\n', Weights.Select((weight, i) => (weight, x: i + 1)).Where(b => b.weight is not null)
                .Select(b => $"    - {{address: 198.18.8{b.x}.2, weight: {b.weight}}}"));
            return Balancer("web", BalancerHosts.Vip, Forwarding, backends) + (Sizes is null ? "" : "\n---\n" + TableSizes(Sizes)) + (!HasMore ? "" : Forwarding == "nat"
                ? $"""

                ---
                apiVersion: skep.dev/v1
                kind: BlockList
                metadata: {"{"}name: strangers{"}"}
                spec: {"{"}interfaces: [client, b1, b2, b3], hook: {Hook}, entries: [192.0.2.0/24]{"}"}
                """
                : "\n---\n" + Balancer("other", "198.18.100.2", "gue", backends));
        }

        private string Balancer(string name, string address, string forwarding, string backends) => $"""
            apiVersion: skep.dev/v1
            kind: LoadBalancer
            metadata:
              name: {name}
            spec:
              interfaces: [client, b1, b2, b3]
              hook: {Hook}
              addresses: [{address}]
              forwarding: {forwarding}
              ports:
                - port: {ShortPort}
                - port: {LastingPort}
              backends:
            {backends}
            """;
    }
}
