using System.Diagnostics;
using System.Text.Json.Nodes;
using Skep.Bpf.Elf;
using Skep.Bpf.Verification;

namespace Skep.KernelTests.Elf;

/// <summary>The objects of Debian's xdp-tools, by our loader and by the machine's bpftool, one beside the other.</summary>
public sealed class XdpToolsTests
{
    // bpftool pins what it loads, so it gets a bpffs of its own, in a mount namespace that ends with it.
    private const string LoadAndShow =
        "mount -t bpf bpf /sys/fs/bpf && \"$0\" prog loadall \"$1\" /sys/fs/bpf/p && for p in /sys/fs/bpf/p/*; do \"$0\" -j prog show pinned \"$p\" && echo; done";

    private static readonly string? s_bpftool = new[] { "/usr/sbin/bpftool", "/usr/bin/bpftool" }.FirstOrDefault(File.Exists);

    /// <summary>What fails with both, and why: a part of what each says. xdpdump puts the name of the function that it traces in at run time.</summary>
    private static readonly Dictionary<string, (string Theirs, string Ours)> s_refused = new()
    {
        ["xdpdump_bpf.o"] = ("failed to find kernel BTF type ID of 'func'", "attaches to 'func', which this kernel does not have"),
    };

    public static TheoryData<string> Objects => Folder is { } folder
        ? [.. Directory.GetFiles(folder, "*.o").Select(f => Path.GetFileName(f)).Order(StringComparer.Ordinal)]
        : [NotInstalled];

    private const string NotInstalled = "xdp-tools is not installed";

    private static string? Folder => Directory.Exists("/usr/lib") ? Directory.GetDirectories("/usr/lib", "*-linux-gnu").Select(d => Path.Combine(d, "bpf")).FirstOrDefault(d => Directory.Exists(d) && Directory.GetFiles(d, "xdp*.o").Length > 0) : null;

    [KernelTheory]
    [MemberData(nameof(Objects))]
    public void An_object_loads_as_with_bpftool_or_fails_for_the_same_reason(string name)
    {
        Kernel.Require(name != NotInstalled, NotInstalled);
        Kernel.Require(s_bpftool is not null, "bpftool is not installed");
        var path = Path.Combine(Folder!, name);
        var (succeeded, output) = Bpftool(path);
        using var loaded = ObjectSpec.Read(path).Load();
        if (s_refused.TryGetValue(name, out var reason))
        {
            Assert.False(succeeded);
            Assert.Contains(reason.Theirs, output, StringComparison.Ordinal);
            Assert.All(loaded.Programs, p => Assert.Contains(reason.Ours, p.Error!.Message, StringComparison.Ordinal));
            Assert.All(loaded.Maps, m => Assert.Null(m.Error));
            return;
        }

        Assert.True(succeeded, output);
        Assert.True(loaded.Succeeded, string.Join('\n', loaded.Programs.Select(p => p.Error?.Message).Concat(loaded.Maps.Select(m => m.Error?.Message))));

        // The tag is a digest of the instructions: the same code arrived in the kernel.
        var theirs = output.Split('\n').Where(line => line.StartsWith('{')).Select(line => JsonNode.Parse(line)!).Select(p => $"{p["name"]} {p["type"]} {p["tag"]}");
        var ours = loaded.Programs.Select(p => p.Program!).Select(p => $"{(p.Name.Length > 15 ? p.Name[..15] : p.Name)} xdp {p.Tag}");
        Assert.Equal(theirs.Order(StringComparer.Ordinal), ours.Order(StringComparer.Ordinal));
    }

    [KernelTheory]
    [MemberData(nameof(Objects))]
    public void Our_own_verifier_accepts_of_an_object_what_the_kernel_accepts(string name)
    {
        Kernel.Require(name != NotInstalled, NotInstalled);
        using var loaded = ObjectSpec.Read(Path.Combine(Folder!, name)).Load();
        var accepted = loaded.Programs.Where(static p => p.Program is not null).ToArray();
        Assert.Equal(s_refused.ContainsKey(name), accepted.Length == 0);
        Assert.All(accepted, static p =>
        {
            var check = ProgramCheck.Run(p.Program!.Spec!);
            Assert.Null(check.Failure);
            Assert.True(check.IsComplete);
        });
    }

    [KernelFact]
    public void All_fifteen_objects_of_the_package_are_compared()
    {
        Kernel.Require(Folder is not null, NotInstalled);
        Assert.True(Objects.Count >= 15, $"{Objects.Count} objects in {Folder}");
    }

    private static (bool Succeeded, string Output) Bpftool(string path)
    {
        using var process = Process.Start(new ProcessStartInfo("unshare", ["--mount", "--propagation", "private", "sh", "-c", LoadAndShow, s_bpftool!, path])
        {
            RedirectStandardOutput = true, RedirectStandardError = true,
        })!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode == 0, output + errors.GetAwaiter().GetResult());
    }
}
