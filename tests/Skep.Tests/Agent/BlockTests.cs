using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Skep.Agent;
using Skep.Bpf.Programming;
using Skep.Engine;

namespace Skep.Tests.Agent;

public class BlockTests
{
    [Fact]
    public void A_block_by_command_drops_ends_in_time_and_survives_a_restart()
    {
        using var bed = new AgentBed();
        bed.Write(AgentBed.BlockList("198.51.100.1"));
        var (platform, twin) = bed.Start();
        using (platform)
        {
            Assert.Equal(XdpAction.Pass, AgentBed.Send(twin, "203.0.113.7", "192.0.2.1"));
            Assert.Null(platform.Block(IPNetwork.Parse("203.0.113.0/24"), TimeSpan.FromHours(1), "scan", [], force: false).Refusal);
            Assert.Equal(XdpAction.Drop, AgentBed.Send(twin, "203.0.113.7", "192.0.2.1"));
            var block = platform.Blocks().Single(b => b.Prefix == "203.0.113.0/24");
            Assert.Equal(("command", "scan", 1ul), (block.Origin, block.Reason, block.Packets));

            twin.Twin.Environment.Advance(TimeSpan.FromMinutes(61));
            Assert.Equal(XdpAction.Pass, AgentBed.Send(twin, "203.0.113.7", "192.0.2.1"));
        }

        var (again, twinAgain) = bed.Start();
        using var _ = again;
        Assert.Equal(XdpAction.Drop, AgentBed.Send(twinAgain, "203.0.113.7", "192.0.2.1"));
        Assert.Null(again.Unblock(IPNetwork.Parse("203.0.113.0/24")));
        Assert.Equal(XdpAction.Pass, AgentBed.Send(twinAgain, "203.0.113.7", "192.0.2.1"));
    }

    [Fact]
    public void Entries_of_the_saved_file_that_are_no_blocks_are_left_out_and_said()
    {
        using var bed = new AgentBed();
        Directory.CreateDirectory(bed.Options.Paths.State);
        File.WriteAllText(
            bed.Options.Paths.Blocks,
            """
            [null, {}, {"prefix":"9.9.9.9/32"}, {"prefix":"9.9.9.8/32","interfaces":[null]}, {"prefix":"0.0.0.0/0","interfaces":["capture"]},
             {"prefix":"203.0.113.7/32","reason":"scan","interfaces":["capture"]}]
            """);

        var (platform, twin) = bed.Start();
        using var _ = platform;

        Assert.Contains(platform.Status().Notices, n => n.Contains("5 entries", StringComparison.Ordinal));
        Assert.Equal(XdpAction.Drop, AgentBed.Send(twin, "203.0.113.7", "192.0.2.1"));
        Assert.Equal(XdpAction.Pass, AgentBed.Send(twin, "9.9.9.8", "192.0.2.1"));
    }

    [Fact]
    public void A_block_needs_a_place_and_is_refused_where_nothing_or_everything_is_meant()
    {
        using var bed = new AgentBed();
        bed.Write("# none");
        var (platform, _) = bed.Start();
        using var __ = platform;
        Assert.Contains("--interface", platform.Block(IPNetwork.Parse("203.0.113.7/32"), null, "", [], false).Refusal);
        Assert.Contains("no interface 'eth9'", platform.Block(IPNetwork.Parse("203.0.113.7/32"), null, "", ["eth9"], false).Refusal);
        Assert.Contains("every address", platform.Block(IPNetwork.Parse("0.0.0.0/0"), null, "", ["capture"], true).Refusal);
        Assert.Null(platform.Block(IPNetwork.Parse("203.0.113.7/32"), null, "", ["capture"], false).Refusal);
        Assert.Contains("not blocked", platform.Unblock(IPNetwork.Parse("203.0.113.8/32")));
    }

    [Fact]
    public void What_a_resource_blocks_cannot_be_unblocked_by_command()
    {
        using var bed = new AgentBed();
        bed.Write(AgentBed.BlockList("203.0.113.7"));
        var (platform, _) = bed.Start();
        using var __ = platform;
        Assert.Contains("BlockList/bad", platform.Unblock(IPNetwork.Parse("203.0.113.7/32")));
    }

    [Fact]
    public void A_block_takes_effect_though_the_resources_were_never_good()
    {
        using var bed = new AgentBed();
        bed.Write("kind: [");
        var (platform, twin) = bed.Start();
        using (platform)
        {
            var (block, refusal) = platform.Block(IPNetwork.Parse("203.0.113.7/32"), null, "", ["capture"], false);
            Assert.Null(refusal);
            Assert.Equal("command", block!.Origin);
            Assert.Equal(XdpAction.Drop, AgentBed.Send(twin, "203.0.113.7", "192.0.2.1"));
            Assert.False(platform.ResourcesStatus().Current);
        }

        // Nor does a block of before the restart depend on the files.
        var (again, twinAgain) = bed.Start();
        using var _ = again;
        Assert.Equal(XdpAction.Drop, AgentBed.Send(twinAgain, "203.0.113.7", "192.0.2.1"));
        bed.Write(AgentBed.BlockList("198.51.100.1"));
        Assert.True(again.Reload());
        Assert.Equal(XdpAction.Drop, AgentBed.Send(twinAgain, "203.0.113.7", "192.0.2.1"));
        Assert.Equal(XdpAction.Drop, AgentBed.Send(twinAgain, "198.51.100.1", "192.0.2.1"));
    }

    [Fact]
    public void Where_an_earlier_agent_enforces_what_nobody_knows_a_block_is_refused_with_what_to_do_and_nothing_is_touched()
    {
        using var bed = new AgentBed();
        bed.Write("kind: [");
        var opened = OpenedDatapath.Open(bed.Options, TimeProvider.System);
        var twin = (TwinDatapath)opened.Datapath;
        twin.Attach(new Hook(HookKind.Xdp, OpenedDatapath.CaptureInterface, 1), new DropsAll());
        using var platform = new Platform(bed.Options, opened, TimeProvider.System, NullLogger<Platform>.Instance);
        platform.Start();

        var refusal = platform.Block(IPNetwork.Parse("203.0.113.7/32"), null, "", ["capture"], false).Refusal;
        Assert.Contains("Mend the resources", refusal, StringComparison.Ordinal);
        Assert.Contains("skep down", platform.Unblock(IPNetwork.Parse("203.0.113.7/32")), StringComparison.Ordinal);
        Assert.Contains(platform.Status().Notices, n => refusal!.EndsWith(n, StringComparison.Ordinal));
        Assert.Equal(XdpAction.Drop, AgentBed.Send(twin, "203.0.113.8", "192.0.2.1"));

        bed.Write(AgentBed.BlockList("203.0.113.7"));
        Assert.True(platform.Reload());
        Assert.Equal(XdpAction.Pass, AgentBed.Send(twin, "203.0.113.8", "192.0.2.1"));
        Assert.Equal(XdpAction.Drop, AgentBed.Send(twin, "203.0.113.7", "192.0.2.1"));
    }

    [Fact]
    public void A_state_directory_that_takes_nothing_does_not_keep_a_source_from_being_blocked()
    {
        using var bed = new AgentBed();
        File.WriteAllText(bed.Options.Paths.State, "");
        var (platform, twin) = bed.Start();
        using var _ = platform;

        Assert.Null(platform.Block(IPNetwork.Parse("203.0.113.7/32"), null, "", ["capture"], false).Refusal);

        Assert.Equal(XdpAction.Drop, AgentBed.Send(twin, "203.0.113.7", "192.0.2.1"));
        Assert.Contains(platform.Status().Notices, n => n.StartsWith("blocks by command are in force but", StringComparison.Ordinal));
    }

    [Fact]
    public void A_block_that_finds_no_room_is_refused_with_the_reason_and_does_not_come_into_force_later()
    {
        using var bed = new AgentBed();
        var entries = string.Join(", ", Enumerable.Range(0, 65536).Select(i => $"10.1.{i >> 8}.{i & 255}"));
        bed.Write(AgentBed.BlockList(entries));
        var (platform, twin) = bed.Start();
        using var _ = platform;

        var refusal = platform.Block(IPNetwork.Parse("203.0.113.7/32"), null, "", [], false).Refusal;

        Assert.Equal("203.0.113.7 is not blocked: the list is full at 65536 addresses; ask for more 'blockedAddresses' in a TableSizes resource.", refusal);
        Assert.Equal((65536, 65536), platform.Status().Maps.Where(m => m.Name == "edge_blocked").Select(m => (m.Entries, m.Capacity)).Single());
        Assert.Equal(XdpAction.Drop, AgentBed.Send(twin, "10.1.255.255", "192.0.2.1"));
        bed.Write(AgentBed.BlockList("198.51.100.1"));
        Assert.True(platform.Reload());
        Assert.Equal(XdpAction.Pass, AgentBed.Send(twin, "203.0.113.7", "192.0.2.1"));
    }

    private sealed class DropsAll : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context) => XdpAction.Drop;
    }
}
