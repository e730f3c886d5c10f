using System.Net;
using Skep.Engine;
using Skep.Resources;

namespace Skep.Tests.Engine;

public class EdgePlanTests
{
    private static ResourceSet Parse(string text) => ResourceLoader.Parse(new ResourceText("t.yaml", text)).Set!;

    private static string Doc(string kind, string name, string spec) => $"---\napiVersion: skep.dev/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n";

    [Fact]
    public void An_interface_gets_only_the_stages_it_needs()
    {
        var plan = EdgePlan.For(
            Parse(Doc("BlockList", "b", "{interfaces: [eth1], entries: [203.0.113.7]}")
                + Doc("RateLimit", "r", "{interfaces: [eth2], packetsPerSecond: 10}")
                + Doc("LoadBalancer", "l", "{interfaces: [eth1, eth3], addresses: [192.0.2.1], ports: [{port: 80}], backends: [{address: 10.0.0.1}]}")),
            [], []);

        Assert.Equal(["eth1", "eth2", "eth3"], plan.Interfaces.Keys);
        Assert.True(plan.Interfaces["eth1"] is { BlockAddresses: true, BlockPrefixes: false, Balance: true, RateLimit: null });
        Assert.True(plan.Interfaces["eth2"] is { BlockAddresses: false, Balance: false, RateLimit: { PacketsPerSecond: 10, Burst: 10 } });
        Assert.True(plan.Interfaces["eth3"] is { BlockAddresses: false, Balance: true, RateLimit: null });
    }

    [Fact]
    public void Load_balancers_that_say_the_same_keep_their_services()
    {
        static string Text(int weight) =>
            Doc("LoadBalancer", "a", "{interfaces: [eth0], addresses: [192.0.2.1, 192.0.2.2], ports: [{port: 80}], backends: [{address: 10.0.0.1}]}")
            + Doc("LoadBalancer", "b", "{interfaces: [eth0], addresses: [192.0.2.3], ports: [{port: 80}], backends: [{address: 10.0.0.1, weight: " + weight + "}]}");
        var before = Parse(Text(1));

        var after = Parse("# moved down\n" + Text(2)).Keeping(before);

        var (old, plan) = (EdgePlan.For(before, [], []).Services, EdgePlan.For(after, [], []).Services);
        Assert.Same(old[0], plan[0]);
        Assert.Same(old[1], plan[1]);
        Assert.NotSame(old[2], plan[2]);
        Assert.Equal(2, plan[2].Backends[0].Weight);
    }

    [Theory]
    [InlineData("interfaces: [eth0]", "interfaces: [eth1]")]
    [InlineData("addresses: [192.0.2.1]", "addresses: [192.0.2.9]")]
    [InlineData("{port: 80}", "{port: 81}")]
    [InlineData("{port: 80}", "{port: 80, targetPort: 8080}")]
    [InlineData("{port: 80}", "{port: 80}, {port: 81}")]
    [InlineData("address: 10.0.0.1", "address: 10.0.0.2")]
    [InlineData("weight: 5", "weight: 6")]
    [InlineData("weight: 5", "weight: 5, drain: true")]
    [InlineData("weight: 5", "weight: 5, zone: here")]
    [InlineData("weight: 5", "weight: 5, port: 8080")]
    [InlineData("weight: 5}", "weight: 5}, {address: 10.0.0.9}")]
    [InlineData("backends", "healthCheck: {type: tcp}, backends")]
    [InlineData("backends", "adaptive: {floorPercent: 3}, backends")]
    [InlineData("backends", "hook: tc, backends")]
    [InlineData("backends", "bypassStack: true, backends")]
    public void Load_balancers_that_say_something_else_get_other_services(string from, string to)
    {
        const string Spec = "{interfaces: [eth0], addresses: [192.0.2.1], ports: [{port: 80}], backends: [{address: 10.0.0.1, weight: 5}]}";
        var before = Parse(Doc("LoadBalancer", "a", Spec));
        var other = Parse(Doc("LoadBalancer", "a", Spec.Replace(from, to, StringComparison.Ordinal)));

        Assert.Same(other.LoadBalancers[0], other.Keeping(before).LoadBalancers[0]);
        Assert.Same(before.LoadBalancers[0], Parse(Doc("LoadBalancer", "a", Spec)).Keeping(before).LoadBalancers[0]);
    }

    [Fact]
    public void An_interface_is_taken_from_where_a_resource_asks()
    {
        var plan = EdgePlan.For(
            Parse(Doc("RateLimit", "r", "{interfaces: [eth1, eth2], hook: tc, packetsPerSecond: 10}")
                + Doc("BlockList", "b", "{interfaces: [eth2, eth3], entries: []}")),
            [], []);
        Assert.Equal([new("eth1", EdgeHook.Tc), new("eth2", EdgeHook.Tc)], plan.Hooks);
    }

    [Fact]
    public void The_stack_is_bypassed_only_where_all_balancers_of_an_interface_say_so()
    {
        string Balancer(string name, string spec) => Doc("LoadBalancer", name, $"{{{spec}, addresses: [192.0.2.{name.Length}], ports: [{{port: 80}}], backends: [{{address: 10.0.0.1}}]}}");
        var plan = EdgePlan.For(
            Parse(Balancer("a", "interfaces: [eth1, eth2], bypassStack: true") + Balancer("bb", "interfaces: [eth2]")), [], []);
        Assert.Equal((true, false), (plan.Interfaces["eth1"].BypassStack, plan.Interfaces["eth2"].BypassStack));
    }

    [Fact]
    public void Sockets_of_this_host_are_balanced_to_the_services_that_ask_for_it()
    {
        var plan = EdgePlan.For(
            Parse(Doc("LoadBalancer", "a", "{fromThisHost: true, cgroup: /a, addresses: [192.0.2.1], ports: [{port: 80}], backends: [{address: 10.0.0.1}]}")
                + Doc("LoadBalancer", "b", "{interfaces: [eth1], addresses: [192.0.2.2], ports: [{port: 80}], backends: [{address: 10.0.0.1}]}")),
            [], []);
        Assert.Equal(("/a", 2), (plan.Cgroup, plan.Services.Length));
        Assert.Equal("192.0.2.1:80/tcp", Assert.Single(plan.HostServices).Endpoint);
        Assert.Equal(["eth1"], plan.Interfaces.Keys);
    }

    [Theory]
    [InlineData("", EdgeHook.Auto, HookKind.Xdp, "physical device")]
    [InlineData("bond", EdgeHook.Auto, HookKind.Xdp, "bond of physical devices")]
    [InlineData("veth", EdgeHook.Auto, HookKind.TcEdge, "veth: native XDP would split its super-packets and cannot mend partial checksums")]
    [InlineData("bridge", EdgeHook.Auto, HookKind.TcEdge, "bridge: a virtual device without native XDP, or with partial checksums")]
    [InlineData("tun", EdgeHook.Auto, HookKind.TcEdge, "tun: a virtual device without native XDP, or with partial checksums")]
    [InlineData("veth", EdgeHook.Xdp, HookKind.Xdp, "asked for")]
    [InlineData("", EdgeHook.Tc, HookKind.TcEdge, "asked for")]
    public void The_hook_is_chosen_by_device(string kind, EdgeHook asked, HookKind expected, string why) =>
        Assert.Equal(new HookChoice(expected, why), HookChoice.For(new HostInterface(2, "x", false, kind), asked));

    [Fact]
    public void Where_XDP_was_refused_or_has_no_Ethernet_header_traffic_control_takes_its_place()
    {
        var device = new HostInterface(2, "eth1", false);
        Assert.Equal(new HookChoice(HookKind.TcEdge, "XDP was refused: too few queues"), HookChoice.For(device, EdgeHook.Xdp, "too few queues."));
        Assert.Equal(HookKind.TcEdge, HookChoice.For(device with { HasEthernetHeader = false }, EdgeHook.Xdp).Kind);
        Assert.Equal(HookKind.TcEdge, HookChoice.For(device with { IsLoopback = true }, EdgeHook.Auto).Kind);
    }

    [Fact]
    public void Of_two_blocks_of_a_prefix_the_longer_one_holds()
    {
        var soon = new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
        var prefix = Skep.Packets.IpPrefix.Parse("203.0.113.7");
        var set = Parse(Doc("BlockList", "b", "{interfaces: [eth1], entries: [{prefix: 203.0.113.7, until: 2030-06-01T00:00:00Z}]}"));

        Assert.Equal("BlockList/b", EdgePlan.For(set, [new(prefix, soon, "command", "")], ["eth1"]).Blocks[prefix].Origin);
        Assert.Equal("command", EdgePlan.For(set, [new(prefix, null, "command", "")], ["eth1"]).Blocks[prefix].Origin);
    }

    [Fact]
    public void Block_lists_that_cover_the_operator_are_refused_unless_forced()
    {
        ProtectedAddress[] operators = [new(IPAddress.Parse("203.0.113.7"), "where your SSH session comes from")];
        var set = Parse(Doc("BlockList", "b", "{interfaces: [eth1], entries: [203.0.113.0/24, 198.51.100.0/24]}"));
        var problem = Assert.Single(Lockout.Check(set, operators));
        Assert.Equal("t.yaml:5:38: locks-out: 203.0.113.0/24 covers 203.0.113.7, where your SSH session comes from: take it out, or set spec.force: true when that is meant", problem.ToString());

        Assert.Empty(Lockout.Check(Parse(Doc("BlockList", "b", "{interfaces: [eth1], force: true, entries: [203.0.113.0/24]}")), operators));
    }

    [Fact]
    public void Loopback_and_own_addresses_are_protected_on_every_host() =>
        Assert.Contains(Lockout.OfThisHost(), a => a.Address.Equals(IPAddress.Loopback));
}
