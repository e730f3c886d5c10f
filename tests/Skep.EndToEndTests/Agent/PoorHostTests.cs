using Skep.EndToEndTests.Surroundings;

namespace Skep.EndToEndTests.Agent;

/// <summary>Hosts that lack something: the command says what, what it costs and what to do, and does the rest.</summary>
public sealed class PoorHostTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    [KernelFact]
    public async Task Without_BTF_flows_are_observed_and_sources_blocked_and_the_missing_events_are_said()
    {
        using var hosts = new TwoHosts();
        await hosts.BuildAsync();
        using var agent = await hosts.StartAgentAsync(withoutBtf: true);

        var status = await hosts.SkepAsync("status");
        Assert.Contains("this kernel has no BTF", status.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("SKEP0", status.Output, StringComparison.Ordinal);
        Assert.True(await hosts.ReachesAsync());
        Assert.Equal(0, (await hosts.SkepAsync("flows", "--once", "--host", TwoHosts.PeerAddress, "--protocol", "udp")).Code);
        Assert.Equal(0, (await hosts.SkepAsync("drops")).Code);

        var blocked = await hosts.SkepAsync("block", TwoHosts.PeerAddress, "--interface", "cable");
        Assert.True(blocked.Code == 0, blocked.Output);
        Assert.False(await hosts.ReachesAsync());
    }

    [KernelFact]
    public async Task Without_BTF_the_doctor_says_what_is_lost()
    {
        using var doctor = ChildProcess.Start("unshare", ["--mount", "sh", "-c", $"mount -t tmpfs none /sys/kernel/btf && {CommandLine("doctor")}"]);
        await doctor.EndsAsync(s_limit);
        Assert.Contains("no drop reasons, retransmits and TCP states: use a kernel with CONFIG_DEBUG_INFO_BTF", doctor.Output, StringComparison.Ordinal);
    }

    [KernelTheory]
    [InlineData("agent --engine kernel --listen off --instance e2e-nobody", 1, "this process does not run as root")]
    [InlineData("down", 1, "only root can take programs out of the kernel. Run it with sudo")]
    [InlineData("doctor", 1, "run it as root (sudo) to program the kernel")]
    [InlineData("block 203.0.113.7 --instance e2e-nobody", 1, "Start it with 'skep agent --instance e2e-nobody'")]
    [InlineData("compile edge --load", 1, "CAP_BPF")]
    [InlineData("bpf prog list", 1, "root")]
    [InlineData("lab --only routing", 1, "root")]
    public async Task Without_privileges_a_command_says_so_and_what_to_do(string line, int code, string text)
    {
        // At a place of its own, because the way to this one may be root's alone, as /root is.
        using var command = ChildProcess.Start("unshare", ["--mount", "sh", "-c",
            $"mount --bind '{AppContext.BaseDirectory}' /mnt && cd / && exec setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/tmp XDG_RUNTIME_DIR= {CommandLine(line, "/mnt")}"]);
        var actual = await command.EndsAsync(s_limit);
        Assert.Contains(text, command.Output, StringComparison.Ordinal);
        Assert.Equal(code, actual);
        Assert.DoesNotContain("   at ", command.Output, StringComparison.Ordinal);
    }

    private static string CommandLine(string line, string? folder = null) => $"dotnet exec '{Path.Combine(folder ?? AppContext.BaseDirectory, "Skep.Cli.dll")}' {line}";
}
