using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Cli;

namespace Skep.EndToEndTests.Cli;

/// <summary><c>skep bpf</c> on objects that the test made, beside what bpftool says of them.</summary>
public class BpfCommandTests
{
    private static readonly string? s_bpftool = new[] { "/usr/sbin/bpftool", "/usr/bin/bpftool" }.FirstOrDefault(File.Exists);

    private static async Task<string> SkepAsync(params string[] arguments)
    {
        var (code, output, error) = await RunAsync(arguments);
        Assert.True(code == 0, $"skep {string.Join(' ', arguments)}: {error}");
        return output;
    }

    private static async Task<JsonNode> JsonAsync(params string[] arguments) => JsonNode.Parse(await SkepAsync([.. arguments, "--json"]))!;

    private static async Task<string> RefusalAsync(params string[] arguments)
    {
        var (code, output, error) = await RunAsync(arguments);
        Assert.True(code is 1 or 2, output);
        return error;
    }

    private static async Task<(int Code, string Output, string Error)> RunAsync(string[] arguments)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var code = await SkepCommand.RunAsync(["bpf", .. arguments], output, error);
        return (code, output.ToString(), error.ToString());
    }

    private static async Task<JsonNode> BpftoolAsync(params string[] arguments)
    {
        Kernel.Require(s_bpftool is not null, "bpftool is not installed");
        using var process = Process.Start(new ProcessStartInfo(s_bpftool!, ["-j", .. arguments]) { RedirectStandardOutput = true })!;
        var text = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return JsonNode.Parse(text)!;
    }

    private static string Text(uint id) => id.ToString(CultureInfo.InvariantCulture);

    [KernelFact]
    public async Task Programs_are_listed_as_bpftool_lists_them()
    {
        using var fixture = new Fixture();
        var id = fixture.Program.Id;
        var ours = await JsonAsync("prog", "show", Text(id));
        var theirs = await BpftoolAsync("prog", "show", "id", Text(id));

        Assert.Equal((uint)theirs["id"]!, (uint)ours["id"]!);
        Assert.Equal((string)theirs["tag"]!, (string)ours["tag"]!);
        Assert.Equal((string)theirs["name"]!, (string)ours["name"]!);
        Assert.Equal((uint)theirs["bytes_xlated"]!, (uint)ours["translatedBytes"]!);
        Assert.Equal((uint)theirs["bytes_jited"]!, (uint)ours["jitedBytes"]!);
        Assert.Equal((uint)theirs["bytes_memlock"]!, (uint)ours["memory"]!);
        Assert.Equal((uint)theirs["btf_id"]!, (uint)ours["btfId"]!);
        Assert.Equal((bool)theirs["gpl_compatible"]!, (bool)ours["gplCompatible"]!);
        Assert.Equal(theirs["map_ids"]!.AsArray().Select(n => (uint)n!).Order(), ours["mapIds"]!.AsArray().Select(n => (uint)n!).Order());
        Assert.Contains(ours["processes"]!.AsArray(), p => (int)p!["pid"]! == Environment.ProcessId);
        var listed = (await JsonAsync("prog", "list")).AsArray().Single(p => (uint)p!["id"]! == id)!;
        Assert.Equal((string)ours["tag"]!, (string)listed["tag"]!);
        Assert.Equal((uint)ours["id"]!, (uint)(await JsonAsync("prog", "show", fixture.Program.Name))["id"]!);
        Assert.Contains(fixture.Program.Name, await SkepAsync("prog", "list"), StringComparison.Ordinal);
    }

    [KernelFact]
    public async Task Code_is_dumped_with_the_lines_it_was_made_from()
    {
        using var fixture = new Fixture();
        var id = Text(fixture.Program.Id);
        var ours = (await JsonAsync("prog", "dump", "xlated", id)).AsArray();
        var theirs = (await BpftoolAsync("prog", "dump", "xlated", "id", id)).AsArray();

        Assert.Equal(theirs.Count(n => n!["disasm"] is not null), ours.Count);
        Assert.Contains(ours, n => n!["line"]?["file"] is { } file && ((string)file!).EndsWith("BpfCommandTests.cs", StringComparison.Ordinal));
        Assert.Contains("exit", await SkepAsync("prog", "dump", "xlated", id), StringComparison.Ordinal);

        var jited = (await JsonAsync("prog", "dump", "jited", id)).AsArray();
        var bytes = string.Concat(jited.Select(n => (string)n!["code"]!));
        Assert.Equal(fixture.Program.JitedSize * 2, bytes.Length);
        Assert.Contains(jited, n => n!["line"]?["file"] is not null);
        Assert.Contains("BpfCommandTests.cs:", await SkepAsync("prog", "dump", "jited", id), StringComparison.Ordinal);
    }

    [KernelFact]
    public async Task Maps_are_dumped_by_their_types_as_bpftool_dumps_them()
    {
        using var fixture = new Fixture();
        var id = Text(((KernelMapStorage)fixture.Probe.Flows.Storage).Id);
        fixture.Probe.Flows.Set(new Key { Port = 80, Side = Side.Server }, new Entry { Packets = 7, Stamp = -5, Seen = true, Near = new Pair { A = 1, B = 2 } });
        var ours = Assert.Single((await JsonAsync("map", "dump", id)).AsArray())!;
        var theirs = Assert.Single((await BpftoolAsync("map", "dump", "id", id)).AsArray())!["formatted"]!;

        Assert.Equal("""{"Port":80,"Side":"Server"}""", ours["key"]!.ToJsonString());
        Assert.Equal("""{"Packets":7,"Stamp":-5,"Seen":true,"Near":{"A":1,"B":2}}""", ours["value"]!.ToJsonString());
        Assert.Equal((int)theirs["key"]!["Port"]!, (int)ours["key"]!["Port"]!);
        Assert.Equal((long)theirs["value"]!["Stamp"]!, (long)ours["value"]!["Stamp"]!);
        Assert.Equal(theirs["value"]!["Near"]!.ToJsonString(), ours["value"]!["Near"]!.ToJsonString());
        var shown = await JsonAsync("map", "show", id);
        var info = await BpftoolAsync("map", "show", "id", id);
        Assert.Equal((uint)info["bytes_key"]!, (uint)shown["keySize"]!);
        Assert.Equal((uint)info["bytes_value"]!, (uint)shown["valueSize"]!);
        Assert.Equal((uint)info["max_entries"]!, (uint)shown["maxEntries"]!);
        Assert.Equal((uint)info["btf_id"]!, (uint)shown["btfId"]!);
        Assert.Equal((ulong)info["bytes_memlock"]!, (ulong)shown["memory"]!);
        Assert.Contains("struct Key", await SkepAsync("map", "show", id), StringComparison.Ordinal);
    }

    [KernelFact]
    public async Task Entries_are_read_written_and_removed_by_name_and_by_bytes()
    {
        using var fixture = new Fixture();
        var id = Text(((KernelMapStorage)fixture.Probe.Flows.Storage).Id);
        const string Key = """{"Port": 443, "Side": "Client"}""";

        await SkepAsync("map", "set", id, Key, """{"Packets": 9, "Near": {"B": 4}}""");
        Assert.True(fixture.Probe.Flows.TryGet(new Key { Port = 443, Side = Side.Client }, out var entry));
        Assert.Equal((9ul, 4u), (entry.Packets, entry.Near.B));
        Assert.Equal("""{"Packets":9,"Stamp":0,"Seen":false,"Near":{"A":0,"B":4}}""", (await JsonAsync("map", "get", id, Key)).ToJsonString());
        Assert.Contains("\"Packets\":9", await SkepAsync("map", "get", id, "0xbb010100"), StringComparison.Ordinal);
        await SkepAsync("map", "delete", id, Key);
        Assert.Contains("no such key", await RefusalAsync("map", "get", id, Key), StringComparison.Ordinal);
        Assert.Contains("no such key", await RefusalAsync("map", "delete", id, Key), StringComparison.Ordinal);

        Assert.Contains("there is no member 'Prt'", await RefusalAsync("map", "get", id, """{"Prt": 1}"""), StringComparison.Ordinal);
        Assert.Contains("'Nobody' is no name of enum Side", await RefusalAsync("map", "get", id, """{"Side": "Nobody"}"""), StringComparison.Ordinal);
        Assert.Contains("does not fit 2 bytes", await RefusalAsync("map", "get", id, """{"Port": 70000}"""), StringComparison.Ordinal);
        Assert.Contains("takes 4 bytes", await RefusalAsync("map", "get", Text(fixture.UntypedId), "0x0102"), StringComparison.Ordinal);
        Assert.Contains("has no type for it", await RefusalAsync("map", "get", Text(fixture.UntypedId), "1"), StringComparison.Ordinal);
        await SkepAsync("map", "set", Text(fixture.UntypedId), "0x01000000", "0x0200000000000000");
        Assert.Equal("\"0x0200000000000000\"\n", await SkepAsync("map", "get", Text(fixture.UntypedId), "0x01000000"));

        var counters = Text(((KernelMapStorage)fixture.Probe.Counters.Storage).Id);
        await SkepAsync("map", "set", counters, "1", "5");
        Assert.True(fixture.Probe.Counters.TryGet(1, out ulong[] perCpu));
        Assert.All(perCpu, value => Assert.Equal(5ul, value));
        Assert.Equal($"[{string.Join(',', perCpu)}]\n", await SkepAsync("map", "get", counters, "1"));
    }

    [KernelFact]
    public async Task Links_and_pins_name_what_they_hold()
    {
        using var fixture = new Fixture();
        var pin = $"/sys/fs/bpf/skep-test-{Guid.NewGuid():N}";
        Skep.Bpf.BpfFileSystem.EnsureMounted();
        ((KernelMapStorage)fixture.Probe.Flows.Storage).Pin(pin);
        try
        {
            var byPin = await JsonAsync("map", "show", pin);
            Assert.Equal(pin, (string)Assert.Single(byPin["pins"]!.AsArray())!);
            Assert.Contains("is a map, not a program", await RefusalAsync("prog", "show", pin), StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(pin);
        }

        Assert.Contains("no pin at", await RefusalAsync("map", "show", pin), StringComparison.Ordinal);
        using var watcher = ProgramLoader.Load(ProgramCompiler.Compile(new Watcher()));
        using var link = RawTracepointLink.Attach(watcher);
        var ours = (await JsonAsync("link", "list")).AsArray().Single(l => (uint)l!["programId"]! == watcher.Id)!;
        var theirs = (await BpftoolAsync("link", "show")).AsArray().Single(l => (uint?)l!["prog_id"] == watcher.Id)!;
        Assert.Equal((uint)theirs["id"]!, (uint)ours["id"]!);
        Assert.Contains("no link", await RefusalAsync("link", "show", "4294967295"), StringComparison.Ordinal);
        var id = Text((uint)ours["id"]!);
        Assert.Contains("cannot be detached", await RefusalAsync("link", "detach", id), StringComparison.Ordinal);
    }

    [KernelFact]
    public async Task Programs_run_and_are_counted()
    {
        using var fixture = new Fixture();
        var id = Text(fixture.Program.Id);
        var run = await JsonAsync("prog", "run", id, "--packet", string.Concat(Enumerable.Repeat("ab", 60)), "--repeat", "3");
        Assert.Equal((int)XdpAction.Pass, (int)run["returned"]!);
        Assert.Equal(120, ((string)run["packet"]!).Length);
        Assert.Equal(3ul, fixture.Probe.Runs.Value);

        var counting = JsonAsync("prog", "stats", "--seconds", "2");
        for (var i = 0; i < 20 && !counting.IsCompleted; i++)
        {
            fixture.Program.TestRun(new byte[64], new TestRunOptions { Repeat = 1000 });
            await Task.Delay(100);
        }

        var row = (await counting).AsArray().Single(r => (uint)r!["id"]! == fixture.Program.Id)!;
        Assert.True((ulong)row["runs"]! >= 1000);
        Assert.Contains("an Ethernet header has 14 bytes", await RefusalAsync("prog", "run", id, "--packet", "00"), StringComparison.Ordinal);
    }

    [KernelFact]
    public async Task Types_are_dumped_as_bpftool_dumps_them()
    {
        using var fixture = new Fixture();
        var map = await JsonAsync("map", "show", Text(((KernelMapStorage)fixture.Probe.Flows.Storage).Id));
        var id = Text((uint)map["btfId"]!);
        var ours = (await JsonAsync("btf", "dump", id)).AsArray();
        var theirs = (await BpftoolAsync("btf", "dump", "id", id))["types"]!.AsArray();

        Assert.Equal(
            theirs.Select(t => $"{t!["id"]} {(string)t["kind"]!} {((string)t["name"]! is "(anon)" ? "" : t["name"])}"),
            ours.Select(t => $"{t!["id"]} {(string)t["kind"]!} {(string)t["name"]!}"));
        Assert.Contains("'Packets' type_id=", await SkepAsync("btf", "dump", id, "--type", "Entry"), StringComparison.Ordinal);
        Assert.Contains("STRUCT 'tcp_sock'", await SkepAsync("btf", "dump", "/sys/kernel/btf/vmlinux", "--type", "tcp_sock"), StringComparison.Ordinal);
        Assert.Contains((await JsonAsync("btf", "list")).AsArray(), b => (string)b!["name"]! == "vmlinux" && (bool)b["kernel"]!);
        Assert.Contains("no type 'nonsense'", await RefusalAsync("btf", "dump", id, "--type", "nonsense"), StringComparison.Ordinal);
        Assert.Contains("cannot be read as BTF", await RefusalAsync("btf", "dump", "/proc/self/cmdline"), StringComparison.Ordinal);
    }

    [KernelFact]
    public async Task What_is_not_there_is_said_to_be_missing_and_names_are_made_harmless()
    {
        Assert.Contains("no program 4294967295", await RefusalAsync("prog", "show", "4294967295"), StringComparison.Ordinal);
        Assert.Contains("no map 4294967295", await RefusalAsync("map", "dump", "4294967295"), StringComparison.Ordinal);
        var hostile = await RefusalAsync("map", "show", "\u001b[31mred");
        Assert.DoesNotContain('\u001b', hostile);
        var features = await JsonAsync("features");
        Assert.Contains(features["features"]!.AsArray(), f => (string)f!["name"]! == "ring buffer" && (bool)f["available"]!);
        using var ring = new RingBuffer<ulong>(4096, "records");
        ring.Bind(KernelMapStorage.Create(ring));
        Assert.Contains("no entries that could be listed", await RefusalAsync("map", "dump", Text(((KernelMapStorage)ring.Storage).Id)), StringComparison.Ordinal);
    }

    [KernelFact]
    public async Task Several_objects_of_one_name_are_told_apart_by_number_and_completed()
    {
        var name = $"twin{Environment.ProcessId}";
        using var first = new HashMap<uint, uint>(1, name);
        using var second = new HashMap<uint, uint>(1, name);
        first.Bind(KernelMapStorage.Create(first));
        second.Bind(KernelMapStorage.Create(second));

        var refusal = await RefusalAsync("map", "show", name);
        Assert.Contains($"2 maps are called '{name}'", refusal, StringComparison.Ordinal);
        Assert.Contains(Text(((KernelMapStorage)second.Storage).Id), refusal, StringComparison.Ordinal);
        Assert.Contains("did you mean", await RefusalAsync("map", "show", name + "x"), StringComparison.OrdinalIgnoreCase);
        var words = SkepCommand.Build().Parse($"bpf map show {name[..5]}").GetCompletions($"bpf map show {name[..5]}".Length).Select(c => c.Label);
        Assert.Contains(name, words);
    }

    private enum Side : byte
    {
        Client = 1,
        Server = 2,
    }

    private struct Key
    {
        public ushort Port;
        public Side Side;
    }

    private struct Pair
    {
        public ushort A;
        public uint B;
    }

    private struct Entry
    {
        public ulong Packets;
        public int Stamp;
        public bool Seen;
        public Pair Near;
    }

    private sealed class CommandProbe : XdpProgram
    {
        public HashMap<Key, Entry> Flows { get; } = new(100);

        public PerCpuArrayMap<ulong> Counters { get; } = new(4);

        public Global<ulong> Runs { get; } = new();

        public override unsafe XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            Runs.Value++;
            ref var counter = ref Counters.Find(0);
            if (!System.Runtime.CompilerServices.Unsafe.IsNullRef(ref counter))
            {
                counter++;
            }

            if (data + 2 <= context.DataEnd && data[0] == 0xff)
            {
                Flows.Update(new Key { Port = data[1], Side = Side.Client }, new Entry { Packets = 1 }, UpdateMode.Any);
            }

            return XdpAction.Pass;
        }
    }

    private sealed class Watcher : RawTracepointProgram
    {
        public override string Tracepoint => "cgroup_mkdir";

        public override void Run(ref RawTracepointContext context)
        {
        }
    }

    private sealed class Fixture : IDisposable
    {
        private readonly UntypedMap _untyped = new(MapKind.Hash, 4, 8, 16, name: "untyped");

        public Fixture()
        {
            Program = ProgramLoader.Load(ProgramCompiler.Compile(Probe));
            _untyped.Bind(KernelMapStorage.Create(_untyped));
        }

        public CommandProbe Probe { get; } = new();

        public LoadedProgram Program { get; }

        public uint UntypedId => ((KernelMapStorage)_untyped.Storage).Id;

        public void Dispose()
        {
            Program.Dispose();
            Probe.Flows.Dispose();
            Probe.Counters.Dispose();
            Probe.Runs.Dispose();
            _untyped.Dispose();
        }
    }
}
