using System.Runtime.InteropServices;
using System.Text.Json;
using Skep.EndToEndTests.Surroundings;

namespace Skep.EndToEndTests.Lab;

/// <summary>The lab as a user runs it, and what it leaves behind: nothing, however it ends.</summary>
public class LabTests
{
    private const string Ready = "The network stays until you press Ctrl-C";
    private static readonly TimeSpan s_start = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan s_stop = TimeSpan.FromSeconds(20);

    // A minute is promised on an idle machine; a test machine may be busy.
    private static readonly TimeSpan s_all = TimeSpan.FromMinutes(4);

    [KernelFact]
    public async Task Every_row_is_as_expected()
    {
        var report = Path.Combine(Path.GetTempPath(), $"skep-lab-{Environment.ProcessId}.json");
        try
        {
            using var lab = Repository.Skep("lab", "--report", report);
            var code = await lab.EndsAsync(s_all);
            Assert.True(code == 0, lab.Output);

            using var json = JsonDocument.Parse(await File.ReadAllTextAsync(report));
            Assert.True(json.RootElement.GetProperty("passed").GetBoolean());
            Assert.All(json.RootElement.GetProperty("checks").EnumerateArray(), check => Assert.True(check.GetProperty("passed").GetBoolean(), check.ToString()));
            AssertNothingIsLeft(lab.Id);
        }
        finally
        {
            File.Delete(report);
        }
    }

    [KernelFact]
    public async Task An_interrupted_lab_removes_what_it_made()
    {
        using var lab = Repository.Skep("lab", "--only", "routing", "--keep");
        await lab.SeesAsync(Ready, s_start);
        Assert.NotEmpty(NamespacesOf(lab.Id));

        lab.Signal(PosixSignal.SIGTERM);
        await lab.EndsAsync(s_stop);

        AssertNothingIsLeft(lab.Id);
    }

    [KernelFact]
    public async Task What_a_killed_lab_leaves_behind_is_removed_by_the_next_one()
    {
        using var killed = Repository.Skep("lab", "--only", "routing", "--keep");
        await killed.SeesAsync(Ready, s_start);
        killed.Kill();
        await killed.EndsAsync(s_stop);
        Assert.NotEmpty(NamespacesOf(killed.Id));

        using var next = Repository.Skep("lab", "--only", "routing");
        Assert.Equal(0, await next.EndsAsync(s_start));

        AssertNothingIsLeft(killed.Id);
        AssertNothingIsLeft(next.Id);
    }

    private static void AssertNothingIsLeft(int run)
    {
        Assert.Empty(NamespacesOf(run));
        Assert.Empty(EntriesOf("/run/skep-lab", run));
        Assert.Empty(EntriesOf("/run/skep", run));
        Assert.Empty(EntriesOf("/var/lib/skep", run));
        Assert.Empty(EntriesOf("/sys/fs/bpf/skep", run));
        Assert.DoesNotContain(Directory.GetDirectories("/proc"), p => CommandLineOf(p).Contains($"skep-lab/{run}/", StringComparison.Ordinal));
    }

    private static string[] NamespacesOf(int run) => EntriesOf("/run/netns", run);

    private static string[] EntriesOf(string folder, int run) =>
        Directory.Exists(folder) ? [.. Directory.GetFileSystemEntries(folder).Where(p => Path.GetFileName(p).Split('-', '.').Contains($"{run}"))] : [];

    private static string CommandLineOf(string process)
    {
        try
        {
            return File.ReadAllText(Path.Combine(process, "cmdline"));
        }
        catch (IOException)
        {
            return ""; // Ended meanwhile, or no process.
        }
    }
}
