using Skep.Agent;
using Skep.Agent.Configuration;
using Skep.Bpf.Programming;
using Skep.Engine;
using Skep.Resources;

namespace Skep.Tests.Agent;

public class ReloadTests
{
    [Fact]
    public void Broken_files_leave_the_last_good_resources_in_force_and_say_so()
    {
        using var bed = new AgentBed();
        bed.Write(AgentBed.BlockList("203.0.113.7"));
        var (platform, twin) = bed.Start();
        using var _ = platform;

        bed.Write("kind: [");
        Assert.False(platform.Reload());

        var resources = platform.ResourcesStatus();
        Assert.False(resources.Current);
        Assert.Equal((1, 1), (resources.BlockLists, resources.Generation));
        Assert.Contains(resources.Problems, p => p.Id == "bad-yaml" && p.File == bed.ResourceFile);
        Assert.Equal(XdpAction.Drop, AgentBed.Send(twin, "203.0.113.7", "192.0.2.1"));

        bed.Write(AgentBed.BlockList("198.51.100.0/24"));
        Assert.True(platform.Reload());
        Assert.Equal(XdpAction.Pass, AgentBed.Send(twin, "203.0.113.7", "192.0.2.1"));
        Assert.Equal(XdpAction.Drop, AgentBed.Send(twin, "198.51.100.9", "192.0.2.1"));
    }

    [Fact]
    public void A_start_with_broken_files_enforces_what_was_enforced_before()
    {
        using var bed = new AgentBed();
        bed.Write(AgentBed.BlockList("203.0.113.7"));
        bed.Start().Platform.Dispose();
        bed.Write("kind: [");

        var (platform, twin) = bed.Start();
        using var _ = platform;

        Assert.False(platform.ResourcesStatus().Current);
        Assert.Equal(XdpAction.Drop, AgentBed.Send(twin, "203.0.113.7", "192.0.2.1"));
    }

    [Fact]
    public void A_state_directory_that_takes_nothing_does_not_keep_resources_out_of_force()
    {
        using var bed = new AgentBed();
        bed.Write(AgentBed.BlockList("203.0.113.7"));
        // A file in the place of the directory refuses writing to everybody, root included.
        File.WriteAllText(bed.Options.Paths.State, "");

        var (platform, twin) = bed.Start();
        using var _ = platform;

        Assert.True(platform.IsReady);
        Assert.Contains(platform.Status().Notices, n => n.Contains("could not be kept", StringComparison.Ordinal));
        Assert.Equal(XdpAction.Drop, AgentBed.Send(twin, "203.0.113.7", "192.0.2.1"));
    }

    [Fact]
    public void A_directory_that_goes_away_leaves_what_is_in_force_and_is_read_when_it_is_back()
    {
        using var bed = new AgentBed();
        var directory = Directory.CreateDirectory(Path.Combine(bed.Directory, "edge.d")).FullName;
        var file = Path.Combine(directory, "a.yaml");
        File.WriteAllText(file, AgentBed.BlockList("203.0.113.7"));
        var options = bed.Options with { Resources = [directory] };
        var opened = OpenedDatapath.Open(options, TimeProvider.System);
        using var platform = new Platform(options, opened, TimeProvider.System, Microsoft.Extensions.Logging.Abstractions.NullLogger<Platform>.Instance);
        platform.Start();

        Directory.Delete(directory, recursive: true);
        Assert.False(platform.Reload());
        Assert.Equal(XdpAction.Drop, AgentBed.Send((TwinDatapath)opened.Datapath, "203.0.113.7", "192.0.2.1"));

        Directory.CreateDirectory(directory);
        File.CreateSymbolicLink(Path.Combine(directory, "loop.yaml"), Path.Combine(directory, "loop.yaml"));
        Assert.False(platform.Reload());

        File.Delete(Path.Combine(directory, "loop.yaml"));
        File.WriteAllText(file, AgentBed.BlockList("198.51.100.1"));
        Assert.True(platform.Reload());
        Assert.Equal(XdpAction.Pass, AgentBed.Send((TwinDatapath)opened.Datapath, "203.0.113.7", "192.0.2.1"));
    }

    [Fact]
    public void Without_resources_nothing_is_attached_at_the_edge()
    {
        using var bed = new AgentBed();
        bed.Write("# none");
        var (platform, twin) = bed.Start();
        using var _ = platform;
        Assert.DoesNotContain(twin.Attached, a => a.Hook.Kind == HookKind.Xdp);

        bed.Write(AgentBed.RateLimit(5));
        platform.Reload();
        Assert.Contains(twin.Attached, a => a.Hook.Kind == HookKind.Xdp);

        // Cut off while it was saved.
        bed.Write("");
        Assert.False(platform.Reload());
        Assert.Contains(twin.Attached, a => a.Hook.Kind == HookKind.Xdp);

        bed.Write("# none");
        Assert.True(platform.Reload());
        Assert.DoesNotContain(twin.Attached, a => a.Hook.Kind == HookKind.Xdp);
    }

    [Fact]
    public void What_was_applied_is_checked_with_the_files_and_survives_a_restart()
    {
        using var bed = new AgentBed();
        var (platform, _) = bed.Start();
        using (platform)
        {
            var refused = platform.Apply(new ResourceText("again.yaml", AgentBed.RateLimit(7)), dryRun: false);
            Assert.Contains(refused.View.Problems, p => p.Id == "duplicate-name" && p.File == "again.yaml");
            Assert.NotNull(refused.Refusal);
            Assert.False(platform.Apply(new ResourceText("web.yaml", AgentBed.LoadBalancer()), dryRun: true).View.Applied);
            Assert.Empty(platform.Services());
            Assert.True(platform.Apply(new ResourceText("web.yaml", AgentBed.LoadBalancer()), dryRun: false).View.Applied);
            Assert.Equal("web", Assert.Single(platform.Services()).LoadBalancer);
        }

        using var again = bed.Start().Platform;
        Assert.Equal("10.0.0.1", Assert.Single(again.Backends()).Address);
        Assert.True(again.DeleteApplied());
        Assert.Empty(again.Backends());
    }

    [Fact]
    public void More_than_the_tables_hold_is_refused_as_a_whole()
    {
        using var bed = new AgentBed();
        var (platform, _) = bed.Start();
        using var __ = platform;
        var ports = string.Join(", ", Enumerable.Range(1, 64).Select(p => $"{{port: {p}}}"));
        var text = AgentBed.LoadBalancer(string.Join(", ", Enumerable.Range(1, 17).Select(a => $"192.0.2.{a}"))).Replace("{port: 80}", ports, StringComparison.Ordinal);

        Assert.Equal("too-large", platform.Apply(new ResourceText("many.yaml", text), dryRun: false).View.Problems[^1].Id);
        Assert.Empty(platform.Services());
    }

    [Fact]
    public async Task A_change_of_a_watched_file_is_noticed()
    {
        using var bed = new AgentBed();
        var store = new ResourceStore(bed.Options, () => []);
        using var watcher = new ResourceWatcher(store, [bed.Directory], TimeProvider.System);
        watcher.Start();
        var change = watcher.WaitForChangeAsync(TestContext.Current.CancellationToken);
        Assert.False(change.IsCompleted);

        bed.Write(AgentBed.RateLimit(12345));

        await change.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
    }
}
