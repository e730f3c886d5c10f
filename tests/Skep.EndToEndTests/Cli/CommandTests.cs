using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Skep.EndToEndTests.Surroundings;

namespace Skep.EndToEndTests.Cli;

public partial class CommandTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    private static string Sample => Path.Combine(AppContext.BaseDirectory, "sample.pcap");

    private static async Task<(int Code, string Output)> SkepAsync(params string[] arguments)
    {
        using var process = Repository.Skep(arguments);
        return (await process.EndsAsync(s_limit), process.Output);
    }

    [Theory]
    [InlineData("--help", 0, "Begin with 'skep up'")]
    [InlineData("", 2, "Begin with 'skep up'")]
    [InlineData("block --help", 0, "Examples:")]
    [InlineData("blok 1.2.3.4", 2, "Did you mean 'skep block'?")]
    [InlineData("flows --host nonsense", 2, "is not an address or prefix")]
    [InlineData("flows --limit x", 2, "skep: --limit: a whole number from 1 to 10000.\n")]
    [InlineData("flows --port 65536", 2, "skep: --port: a whole number from 0 to 65535.\n")]
    [InlineData("top --by size", 2, "Must be one of: 'bytes', 'packets', 'rtt', 'retransmits', 'recent'\n")]
    [InlineData("compile edge --isa new", 2, "it takes a whole number.\n")]
    [InlineData("block 1.2.3.4 --for soon", 2, "is not a duration")]
    [InlineData("apply", 2, "--file")]
    [InlineData("status --instance no-such-agent", 1, "no agent of instance")]
    [InlineData("status --agent 127.0.0.1:1", 1, "Start it with 'skep up'")]
    [InlineData("apply -f /no/such/file --instance no-such-agent", 1, "/no/such/file:1:1: no-such-file")]
    [InlineData("replay /no/such/file", 1, "/no/such/file")]
    [InlineData("compile edg", 2, "did you mean 'edge'?")]
    [InlineData("gen types", 2, "name")]
    [InlineData("gen types tcp_congestion_op", 2, "it has tcp_congestion_ops")]
    [InlineData("gen types tcp_sock --namespace 1x", 2, "is no namespace")]
    [InlineData("gen types tcp_sock --btf /no/such/file", 1, "cannot be read as BTF")]
    [InlineData("gen types ack_sample --namespace My.Views", 0, "public uint PktsAcked;")]
    [InlineData("gen types --help", 0, "skep gen types tcp_sock --namespace Probes --out TcpSock.cs")]
    [InlineData("completion bash", 0, "complete -o default -F _skep skep")]
    [InlineData("[suggest:3] blo", 0, "block")]
    public async Task A_command_says_what_is_wrong_and_ends_with_the_right_code(string line, int code, string text)
    {
        var (actual, output) = await SkepAsync(line.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.Contains(text, output, StringComparison.Ordinal);
        Assert.Equal(code, actual);
        Assert.DoesNotContain('\u001b', output);
    }

    [Fact]
    public async Task Every_verb_has_help_with_examples()
    {
        foreach (var verb in Skep.Cli.SkepCommand.Build().Subcommands.Where(v => v.Name != "lab"))
        {
            using var text = new StringWriter();
            Assert.Equal(0, await Skep.Cli.SkepCommand.RunAsync([verb.Name, "--help"], text, text));
            Assert.Contains("Examples:\n  ", text.ToString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Verbs_are_built_under_the_names_they_are_looked_up_by() =>
        Assert.All(Skep.Cli.SkepCommand.Verbs, verb => Assert.Equal(verb.Name, verb.Build().Name));

    [Fact]
    public void Every_command_in_examples_and_documents_is_one_the_command_takes()
    {
        var root = Skep.Cli.SkepCommand.Build();
        var lines = root.Subcommands.OfType<Skep.Cli.VerbCommand>().SelectMany(v => v.Examples)
            .Concat(Directory.EnumerateFiles(Path.Combine(Repository.Root, "docs"), "*.md").SelectMany(File.ReadLines))
            .Where(l => l.StartsWith("skep ", StringComparison.Ordinal))
            .Select(l => l.Split('#', '|', '>', '(')[0]["skep ".Length..].Trim()).ToArray();
        Assert.True(lines.Length > 40);
        Assert.All(lines, line => Assert.True(root.Parse(line).Errors.Count == 0, $"skep {line}: {string.Join("; ", root.Parse(line).Errors)}"));
    }

    [Fact]
    public async Task A_capture_is_replayed_with_resources_by_the_twin()
    {
        var directory = Directory.CreateTempSubdirectory("skep-replay-").FullName;
        try
        {
            var resources = Path.Combine(directory, "edge.yaml");
            await File.WriteAllTextAsync(resources, "apiVersion: skep.dev/v1\nkind: BlockList\nmetadata: {name: b}\nspec: {interfaces: [eth0], entries: [10.20.0.2]}\n");
            var output = Path.Combine(directory, "after.pcap");
            var (code, text) = await SkepAsync("replay", Sample, "-f", resources, "--out", output, "--json");
            Assert.Equal(0, code);
            var report = JsonNode.Parse(text)!;
            Assert.True((long)report["edge"]!["blocked"]! > 50);
            Assert.Equal((long)report["verdicts"]!["drop"]!, (long)report["edge"]!["blocked"]!);
            var (_, again) = await SkepAsync("replay", output, "-f", resources);
            Assert.DoesNotContain("blocked", again, StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [KernelFact]
    public async Task The_kernel_replays_a_capture_to_the_same_verdicts_packets_and_maps()
    {
        var resources = Path.Combine(Directory.CreateTempSubdirectory("skep-replay-").FullName, "edge.yaml");
        await File.WriteAllTextAsync(resources, """
            apiVersion: skep.dev/v1
            kind: LoadBalancer
            metadata: {name: web}
            spec:
              interfaces: [eth0]
              addresses: [10.20.0.1, "fd20::1"]
              ports: [{port: 80, targetPort: 8080}, {port: 53, protocol: UDP}]
              backends: [{address: 10.30.0.1}, {address: 10.30.0.2, weight: 2}, {address: "fd30::1"}]
            ---
            apiVersion: skep.dev/v1
            kind: BlockList
            metadata: {name: b}
            spec: {interfaces: [eth0], entries: [10.20.0.0/31, "fe80::/64"]}
            """);
        var twin = JsonNode.Parse((await SkepAsync("replay", Sample, "-f", resources, "--json")).Output)!;
        var kernel = JsonNode.Parse((await SkepAsync("replay", Sample, "-f", resources, "--json", "--engine", "kernel")).Output)!;
        Directory.Delete(Path.GetDirectoryName(resources)!, recursive: true);

        Assert.True((long)twin["edge"]!["forwarded"]! > 20);
        Assert.Equal(twin["packets"]!.ToJsonString(), kernel["packets"]!.ToJsonString());
        Assert.Equal(twin["edge"]!.ToJsonString(), kernel["edge"]!.ToJsonString());
        foreach (var name in new[] { "edge_conns", "edge_services", "edge_backends", "edge_prefixes" })
        {
            Assert.Equal(Map(twin, name), Map(kernel, name));
        }

        // When the balancer began to wait for an answer is read off another clock in each engine.
        static string Map(JsonNode report, string name) =>
            PendingSince().Replace(report["maps"]!.AsArray().Single(m => (string?)m!["name"] == name)!.ToJsonString(), "");
    }

    [Fact]
    public async Task Up_shows_the_flows_of_a_capture_without_root()
    {
        var instance = $"e2e-up-{Environment.ProcessId}";
        var state = Directory.CreateTempSubdirectory("skep-up-").FullName;
        using var up = Repository.Skep("up", "--engine", "twin", "--instance", instance, "--listen", "off", "--state", state);
        await up.SeesAsync("Nothing is enforced", s_limit);
        await up.SeesAsync("10.20.0.1:80", s_limit);
        up.Signal(System.Runtime.InteropServices.PosixSignal.SIGINT);
        Assert.Equal(0, await up.EndsAsync(s_limit));
        Assert.Contains("nothing is left", up.Output, StringComparison.Ordinal);
        Directory.Delete(state, recursive: true);
        Directory.Delete(Skep.Agent.AgentPaths.For(instance).Runtime, recursive: true);
    }

    [KernelFact]
    public async Task Doctor_says_that_this_kernel_has_what_is_needed()
    {
        var (_, output) = await SkepAsync("doctor", "--json");
        var report = JsonNode.Parse(output)!;
        Assert.DoesNotContain(report["checks"]!.AsArray(), c => (string?)c!["result"] == "Missing");
    }

    [KernelFact]
    public async Task Every_program_of_the_platform_is_accepted_by_the_kernel()
    {
        foreach (var name in Skep.Cli.BuiltIn.Names)
        {
            var (code, output) = await SkepAsync("compile", name, "--load", "--json");
            Assert.True(code == 0, output);
            Assert.True((int)JsonNode.Parse(output)!["verifiedInstructions"]! > 0);
        }
    }

    [GeneratedRegex("\"pendingSince\":[0-9]+")]
    private static partial Regex PendingSince();
}
