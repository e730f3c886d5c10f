using Skep.EndToEndTests.Surroundings;

namespace Skep.EndToEndTests.Agent;

public class SurvivalTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(30);

    [KernelFact]
    public async Task A_block_outlives_a_killed_agent_is_adopted_by_the_next_and_gone_after_down()
    {
        using var hosts = new TwoHosts();
        await hosts.BuildAsync();
        using (var agent = await hosts.StartAgentAsync())
        {
            Assert.True(await hosts.ReachesAsync());
            var blocked = await hosts.SkepAsync("block", TwoHosts.PeerAddress, "--interface", "cable", "--for", "1h");
            Assert.True(blocked.Code == 0, blocked.Output);
            Assert.False(await hosts.ReachesAsync());
            agent.Kill();
            await agent.EndsAsync(s_limit);
        }

        Assert.False(await hosts.ReachesAsync());

        using (var next = await hosts.StartAgentAsync())
        {
            var blocks = await hosts.SkepAsync("block", "--json");
            Assert.Contains($"\"prefix\": \"{TwoHosts.PeerAddress}\"", blocks.Output, StringComparison.Ordinal);
            Assert.Contains("\"packets\": 2", blocks.Output, StringComparison.Ordinal);
            Assert.Contains("adopted", (await hosts.SkepAsync("status")).Output, StringComparison.Ordinal);
            Assert.Equal(0, (await hosts.SkepAsync("unblock", TwoHosts.PeerAddress)).Code);
            Assert.True(await hosts.ReachesAsync());
            Assert.Equal(0, (await hosts.SkepAsync("block", TwoHosts.PeerAddress, "--interface", "cable")).Code);
            next.Signal(System.Runtime.InteropServices.PosixSignal.SIGTERM);
            Assert.Equal(0, await next.EndsAsync(s_limit));
        }

        Assert.False(await hosts.ReachesAsync());
        // A state directory that somebody removed is forgotten already.
        Directory.Delete(hosts.State, recursive: true);
        var down = await hosts.SkepAsync("down", "--forget", "--state", hosts.State);
        Assert.True(down.Code == 0, down.Output);
        Assert.True(await hosts.ReachesAsync());
        Assert.False(Directory.Exists(hosts.Pins));
    }

    [KernelFact]
    public async Task A_change_of_the_resource_file_takes_effect_and_a_broken_one_does_not()
    {
        using var hosts = new TwoHosts();
        await hosts.BuildAsync();
        using var agent = await hosts.StartAgentAsync();
        await File.WriteAllTextAsync(
            hosts.ResourceFile,
            $"apiVersion: skep.dev/v1\nkind: BlockList\nmetadata: {{name: peer}}\nspec: {{interfaces: [cable], entries: [{TwoHosts.PeerAddress}]}}\n");
        await Eventually.HoldsAsync(async () => !await hosts.ReachesAsync(), s_limit, () => agent.Output);

        await File.WriteAllTextAsync(hosts.ResourceFile, "apiVersion: skep.dev/v1\nkind: BlockLst\n");
        await Eventually.HoldsAsync(
            async () => (await hosts.SkepAsync("status")).Output.Contains("edge.yaml:2:7: unknown-kind", StringComparison.Ordinal), s_limit, () => agent.Output);
        Assert.False(await hosts.ReachesAsync());

        var own = await hosts.SkepAsync("block", TwoHosts.HostAddress);
        Assert.Equal(1, own.Code);
        Assert.Contains("an address of this host", own.Output, StringComparison.Ordinal);

        await File.WriteAllTextAsync(hosts.ResourceFile, "# none");
        await Eventually.HoldsAsync(hosts.ReachesAsync, s_limit, () => agent.Output);
    }

    [KernelFact]
    public async Task A_block_stays_in_force_on_an_interface_that_is_renamed_also_over_a_restart()
    {
        using var hosts = new TwoHosts();
        await hosts.BuildAsync();
        await File.WriteAllTextAsync(
            hosts.ResourceFile,
            $"apiVersion: skep.dev/v1\nkind: BlockList\nmetadata: {{name: peer}}\nspec: {{interfaces: [cable], entries: [{TwoHosts.PeerAddress}]}}\n");
        using (var agent = await hosts.StartAgentAsync())
        {
            Assert.False(await hosts.ReachesAsync());
            await hosts.RenameAsync("cable", "wan0");
            await Eventually.HoldsAsync(
                async () => (await hosts.SkepAsync("status")).Output.Contains("'cable' is called 'wan0' now", StringComparison.Ordinal), s_limit, () => agent.Output);
            Assert.False(await hosts.ReachesAsync());
            agent.Kill();
            await agent.EndsAsync(s_limit);
        }

        using var next = await hosts.StartAgentAsync();
        Assert.False(await hosts.ReachesAsync());
        Assert.Contains("'cable' is called 'wan0' now", (await hosts.SkepAsync("status")).Output, StringComparison.Ordinal);

        await hosts.RenameAsync("wan0", "cable");
        await Eventually.HoldsAsync(
            async () => !(await hosts.SkepAsync("status")).Output.Contains("is called", StringComparison.Ordinal), s_limit, () => next.Output);
        Assert.False(await hosts.ReachesAsync());
        await File.WriteAllTextAsync(hosts.ResourceFile, "# none");
        await Eventually.HoldsAsync(hosts.ReachesAsync, s_limit, () => next.Output);
    }

    [KernelFact]
    public async Task A_block_takes_effect_though_the_resources_were_never_good()
    {
        using var hosts = new TwoHosts();
        await hosts.BuildAsync();
        await File.WriteAllTextAsync(hosts.ResourceFile, "kind: [");
        using var agent = await hosts.StartAgentAsync();
        Assert.True(await hosts.ReachesAsync());

        var blocked = await hosts.SkepAsync("block", TwoHosts.PeerAddress, "--interface", "cable");

        Assert.True(blocked.Code == 0, blocked.Output);
        Assert.False(await hosts.ReachesAsync());
    }

    [KernelFact]
    public async Task Flows_and_drops_of_real_packets_are_shown()
    {
        using var hosts = new TwoHosts();
        await hosts.BuildAsync();
        using var agent = await hosts.StartAgentAsync();
        Assert.True(await hosts.ReachesAsync());

        var flows = await hosts.SkepAsync("flows", "--once", "--host", TwoHosts.PeerAddress, "--protocol", "udp", "--json");
        Assert.Equal(0, flows.Code);
        Assert.Contains($"\"source\":\"{TwoHosts.PeerAddress}\"", flows.Output, StringComparison.Ordinal);
        Assert.Equal(1, (await hosts.SkepAsync("flows", "--once", "--port", "1")).Code);
    }
}
