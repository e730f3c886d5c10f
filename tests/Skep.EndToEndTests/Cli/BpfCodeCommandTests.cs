using System.Text.Json.Nodes;
using Skep.Cli;
using Skep.EndToEndTests.Surroundings;

namespace Skep.EndToEndTests.Cli;

/// <summary>Code in files: assembled, run, read back, and verified with no kernel.</summary>
public sealed class BpfCodeCommandTests : IDisposable
{
    // R1 is the memory, R2 its length: the sum of the first two bytes, doubled by a function.
    private const string Sum = """
        r0 = *(u8 *)(r1 + 0)
        r2 = *(u8 *)(r1 + 1)
        r0 += r2
        r1 = r0
        call double
        exit
        double:
        r0 = r1
        r0 += r0
        exit
        """;

    private const string Tx = """
        r0 = 1
        r2 = *(u32 *)(r1 + 4)
        r1 = *(u32 *)(r1 + 0)
        r3 = r1
        r3 += 14
        if r3 > r2 goto done
        *(u8 *)(r1 + 0) = 0x5a
        r0 = 3
        done:
        exit
        """;

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("skep-code-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Assembler_text_runs_in_the_interpreter()
    {
        Assert.Equal("r0 = 0x2a (42)\n", (await RunAsync("bpf", "asm", Written("sum.s", Sum), "--run", "interpreter", "--memory", "0a 0b")).Output);
        var json = JsonNode.Parse((await RunAsync("bpf", "asm", Written("tx.s", Tx), "--run", "interpreter", "--packet", "ffffffffffff0200000000010800", "--json")).Output)!;
        Assert.Equal("0x3", (string)json["run"]!["result"]!);
        Assert.Equal("5affffffffff0200000000010800", (string)json["run"]!["packet"]!);
        Assert.Equal(9, (int)json["run"]!["executed"]!);
        var (code, output, _) = await RunAsync("bpf", "asm", Written("wild.s", "r0 = *(u8 *)(r1 + 9)\nexit\n"), "--run", "interpreter", "--memory", "00");
        Assert.Equal(1, code);
        Assert.StartsWith("refused: ", output, StringComparison.Ordinal);
    }

    [KernelFact]
    public async Task And_in_the_kernel_with_the_same_results()
    {
        Assert.Equal("r0 = 0x2a (42)\n", (await RunAsync("bpf", "asm", Written("sum.s", Sum), "--run", "kernel", "--memory", "0a0b")).Output);
        Assert.Equal("r0 = 0x3 (3)\n5affffffffff0200000000010800\n", (await RunAsync("bpf", "asm", Written("tx.s", Tx), "--run", "kernel", "--packet", "ffffffffffff0200000000010800")).Output);
    }

    [KernelFact]
    public async Task An_object_of_assembler_text_is_loaded_by_us_and_by_bpftool()
    {
        const string Program = "call pass\nexit\npass:\nr0 = 2\nexit\n";
        var file = Path.Combine(_folder.FullName, "pass.o");
        await RunAsync("bpf", "asm", Written("main.s", Program), "-o", file);

        Assert.Contains("program  main (xdp): loaded as", (await RunAsync("bpf", "load", file)).Output, StringComparison.Ordinal);
        Kernel.Require(File.Exists("/usr/sbin/bpftool"), "bpftool is not installed");
        using var bpftool = ChildProcess.Start(
            "unshare", ["--mount", "--propagation", "private", "sh", "-c", $"mount -t bpf bpf /sys/fs/bpf && /usr/sbin/bpftool prog load {file} /sys/fs/bpf/p && /usr/sbin/bpftool -j prog show pinned /sys/fs/bpf/p"]);
        Assert.Equal(0, await bpftool.EndsAsync(s_limit));
        await bpftool.SeesAsync("\"name\":\"main\"", s_limit);
    }

    [KernelFact]
    public async Task An_object_is_attached_until_it_is_interrupted()
    {
        var file = Path.Combine(_folder.FullName, "calls.o");
        await RunAsync("bpf", "asm", Written("calls.s", "r0 = 0\nexit\n"), "-o", file, "--type", "raw_tp/sys_enter");
        using var process = Repository.Skep("bpf", "load", file, "--attach");
        await process.SeesAsync("link     calls (raw_tp/sys_enter): attached to sys_enter as link ", s_limit);
        process.Signal(System.Runtime.InteropServices.PosixSignal.SIGINT);
        Assert.Equal(0, await process.EndsAsync(s_limit));

        var (code, output, _) = await RunAsync("bpf", "load", file, "--attach", "--seconds", "0.01", "--json");
        Assert.Equal(0, code);
        Assert.Single(JsonNode.Parse(output)!["attachments"]![0]!["links"]!.AsArray());
        await RunAsync("bpf", "asm", Written("xdp.s", "r0 = 2\nexit\n"), "-o", file);
        var nowhere = await RunAsync("bpf", "load", file, "--attach");
        Assert.Equal(1, nowhere.Code);
        Assert.Contains("not attached: its section names no interface", nowhere.Output, StringComparison.Ordinal);
        Assert.Equal(2, (await RunAsync("bpf", "load", file, "--interface", "lo")).Code);
        Assert.Equal(2, (await RunAsync("bpf", "load", file, "--attach", "--interface", "no-such0")).Code);
    }

    [Fact]
    public async Task What_is_assembled_is_read_back_from_text_objects_and_raw_code()
    {
        var text = Written("sum.s", Sum);
        var (raw, elf) = (Path.Combine(_folder.FullName, "sum.bin"), Path.Combine(_folder.FullName, "sum.o"));
        await RunAsync("bpf", "asm", text, "-o", raw);
        await RunAsync("bpf", "asm", text, "-o", elf, "--type", "tc");
        Assert.Equal(9 * 8, new FileInfo(raw).Length);

        var lines = Instructions((await RunAsync("bpf", "asm", text)).Output);
        Assert.Equal("   0: (71) r0 = *(u8 *)(r1 +0)", lines[0]);
        Assert.Equal(lines, Instructions((await RunAsync("bpf", "disasm", text)).Output));
        Assert.Equal(lines, Instructions((await RunAsync("bpf", "disasm", raw)).Output));
        var listing = (await RunAsync("bpf", "disasm", elf)).Output;
        Assert.StartsWith("; sum in section tc\nsum:\n", listing, StringComparison.Ordinal);
        Assert.Equal(lines, Instructions(listing));

        // A listing is assembler text again.
        Assert.Equal(lines, Instructions((await RunAsync("bpf", "asm", Written("again.s", string.Join('\n', lines)))).Output));
        using var piped = ChildProcess.StartWith(Sum, "dotnet", ["exec", Path.Combine(AppContext.BaseDirectory, "Skep.Cli.dll"), "bpf", "disasm", "-", "--json"]);
        Assert.Equal(0, await piped.EndsAsync(s_limit));
        Assert.Equal(9, JsonNode.Parse(piped.Output)![0]!["instructions"]!.AsArray().Count);
    }

    [Fact]
    public async Task Errors_in_the_text_are_all_named_with_their_places()
    {
        var (code, _, error) = await RunAsync("bpf", "asm", Written("bad.s", "r0 = 1\nfrobnicate r1\nr0 +=\nexit\n"));
        Assert.Equal(1, code);
        Assert.Matches(@"bad\.s\(2,1\): .*\n.*bad\.s\(3,\d+\): ", error);
        Assert.Contains("uses map 'm', which is not given", (await RunAsync("bpf", "asm", Written("map.s", "r1 = map[m]\nr0 = 0\nexit\n"))).Error, StringComparison.Ordinal);
        await File.WriteAllBytesAsync(Path.Combine(_folder.FullName, "odd.bin"), [0, 1, 2], TestContext.Current.CancellationToken);
        Assert.Contains("neither an object file nor assembler text", (await RunAsync("bpf", "disasm", Path.Combine(_folder.FullName, "odd.bin"))).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Code_is_verified_with_no_kernel_and_the_mistake_has_place_rule_and_mend()
    {
        var file = Written("late.s", "r0 = *(u32 *)(r1 + 0)\nr0 = *(u8 *)(r0 + 0)\nexit\n");
        var (code, output, _) = await RunAsync("bpf", "check", file);
        Assert.Equal(1, code);
        Assert.Matches(@"^.*late\.s\(2,1\): error SKEP\d+: ", output);
        Assert.Contains("\n  mend:   ", output, StringComparison.Ordinal);

        var elf = Path.Combine(_folder.FullName, "late.o");
        await RunAsync("bpf", "asm", file, "-o", elf);
        var json = JsonNode.Parse((await RunAsync("bpf", "check", elf, "--json")).Output)![0]!;
        Assert.Equal(("late", "xdp", false), ((string)json["name"]!, (string)json["section"]!, (bool)json["check"]!["passed"]!));
        Assert.Equal(1, (int)json["check"]!["failure"]!["slot"]!);
        Assert.Equal(0, (await RunAsync("bpf", "check", Written("tx.s", Tx))).Code);
        Assert.Equal(2, (await RunAsync("bpf", "check", file, "--type", "xpd")).Code);
    }

    [Fact]
    public async Task Compiled_programs_are_verified_with_no_kernel()
    {
        var (code, output, error) = await RunAsync("compile", "--check");
        Assert.True(code == 0, output + error);
        Assert.Matches(@"^skep_edge: no mistake found, \d+ instructions walked\n", output);
        var json = JsonNode.Parse((await RunAsync("compile", "drops", "--check", "--json")).Output)!.AsArray();
        Assert.True((bool)Assert.Single(json)!["check"]!["passed"]!);
        Assert.Equal(2, (await RunAsync("compile")).Code);
    }

    private static string[] Instructions(string listing) => [.. listing.Split('\n').Where(l => l.Contains(": (", StringComparison.Ordinal) && !l.StartsWith(';'))];

    private string Written(string name, string text)
    {
        var path = Path.Combine(_folder.FullName, name);
        File.WriteAllText(path, text);
        return path;
    }

    private static async Task<(int Code, string Output, string Error)> RunAsync(params string[] arguments)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var code = await SkepCommand.RunAsync(arguments, output, error);
        return (code, output.ToString(), error.ToString());
    }
}
