using System.Net;
using Skep.Engine;
using Skep.Resources;

namespace Skep.Tests.Engine;

public sealed class TranslationCheckTests
{
    private const string Balancer = """
        apiVersion: skep.dev/v1
        kind: LoadBalancer
        metadata: {name: web}
        spec:
          interfaces: [eth1, eth2]
          addresses: [192.0.2.10]
          ports: [{port: 80}]
          backends: [{address: 10.0.0.1}]
          sourceTranslation: {addresses: [10.0.0.9]}
        """;

    [Fact]
    public void A_host_that_is_set_up_for_it_has_no_problems() => Assert.Empty(Check(Balancer, "32768\t60999\n", "1\n"));

    [Fact]
    public void Ports_that_Linux_takes_for_itself_are_told()
    {
        var problem = Assert.Single(Check(Balancer, "20000\t60999\n", "1\n"));
        Assert.Equal(("shared-ports", 9, ProblemSeverity.Warning), (problem.Id, problem.Line, problem.Severity));
        Assert.Contains("1024 to 32767", problem.Message, StringComparison.Ordinal);
        Assert.Contains("20000 to 60999", problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_interface_that_drops_packets_from_own_addresses_is_told_unless_they_go_past_the_stack_or_the_address_is_not_the_host_s()
    {
        Assert.Equal(["'eth1'", "'eth2'"], Check(Balancer, "32768\t60999\n", "0\n").Select(p => p.Message[^6..]));
        Assert.Empty(Check(Balancer + "\n  bypassStack: true\n", "32768\t60999\n", "0\n"));
        Assert.Empty(Check(Balancer, "32768\t60999\n", "0\n", own: []));
    }

    private static ResourceProblem[] Check(string text, string range, string acceptLocal, string[]? own = null) =>
    [
        .. TranslationCheck.Run(
            ResourceLoader.Parse(new ResourceText("edge.yaml", text)).Set!, (own ?? ["10.0.0.9"]).Select(IPAddress.Parse).ToHashSet(),
            name => name == "ipv4/ip_local_port_range" ? range : acceptLocal),
    ];
}
