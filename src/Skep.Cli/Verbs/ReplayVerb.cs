using System.CommandLine;
using Skep.Agent;
using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;
using Skep.Bpf.Twin.Captures;
using Skep.Bpf.Twin.Replay;
using Skep.Cli.Output;
using Skep.Edge;
using Skep.Engine;
using Skep.Filtering;
using Skep.Resources;
using Spectre.Console;

namespace Skep.Cli.Verbs;

/// <summary><c>skep replay</c>: the edge program over a capture.</summary>
internal static class ReplayVerb
{
    public static Command Build()
    {
        var capture = new Argument<string>("capture") { Description = "Capture file, pcap or pcapng." };
        var engine = CommonOptions.Engine();
        engine.Description = "twin (the CLR, on the clock of the capture) or kernel (BPF_PROG_TEST_RUN; root).";
        engine.DefaultValueFactory = _ => EngineChoice.Twin;
        var output = new Option<string?>("--out", "-o") { Description = "Write the packets that go on to this capture file.", HelpName = "file" };
        var resources = new Option<string[]>("--file", "-f") { Description = "Resources to enforce; nothing is enforced unless given.", HelpName = "path" };
        var json = CommonOptions.Json();
        json.Description = "Print the verdict of every packet, what it became, and the final content of the maps.";
        return new VerbCommand(
            "replay",
            "Run the edge program over a capture: what would be blocked, limited and balanced, packet by packet, without touching any traffic.",
            "skep replay traffic.pcapng -f edge.yaml", "skep replay traffic.pcap -f edge.yaml --out after.pcap", "skep replay attack.pcap -f edge.yaml --engine kernel --json | jq .edge")
        {
            capture, resources, engine, output, json,
        }.Runs((result, cancellation) => Task.FromResult(Run(
            result, result.GetValue(capture)!, result.GetValue(resources) ?? [], result.GetValue(engine), result.GetValue(output), result.GetValue(json), cancellation)));
    }

    private static int Run(
        ParseResult result, string path, string[] resources, EngineChoice choice, string? outputPath, bool json, CancellationToken cancellation)
    {
        var set = Load(result, resources);
        var plan = EdgePlan.For(set, [], []);
        var maps = new EdgeMaps(new EdgeOptions());
        var program = new EdgeProgram(maps, Merge(plan));
        using var capture = Open(path);
        using var output = outputPath is null ? null : CaptureWriter.Create(outputPath);
        using var twin = choice == EngineChoice.Kernel ? null : new TwinEngine(new TwinOptions { Cpus = 1 });
        using IReplayEngine engine = twin is null ? InKernel(program, maps) : Bound(twin, program, maps);
        var state = new EdgeState(maps, twin is null ? TimeProvider.System : new TwinTime(twin));
        foreach (var problem in Fill(state, plan))
        {
            result.InvocationConfiguration.Error.WriteLine($"skep: {Safe.Text(problem)}");
        }

        if (json)
        {
            using var report = new ReplayReport(result.InvocationConfiguration.Output);
            var outcome = new CaptureReplay(engine).Run(capture, new ReplayOptions { Output = output, Observer = report.Packet }, cancellation);
            report.Finish(outcome, state, engine.Maps);
            return Finish(result, outcome);
        }
        else
        {
            var outcome = new CaptureReplay(engine).Run(capture, new ReplayOptions { Output = output }, cancellation);
            Show(result, outcome, state, output);
            return Finish(result, outcome);
        }
    }

    private static ResourceSet Load(ParseResult result, string[] resources)
    {
        var loaded = ResourceLoader.Load(resources);
        foreach (var warning in loaded.Problems.Where(p => p.Severity == ProblemSeverity.Warning))
        {
            result.InvocationConfiguration.Error.WriteLine(Safe.Text(warning.ToString()));
        }

        return loaded.Set ?? throw new VerbException("the resources have errors:\n" + string.Join('\n', loaded.Problems));
    }

    private static CaptureReader Open(string path)
    {
        try
        {
            return CaptureReader.Open(path);
        }
        catch (CaptureFormatException e)
        {
            throw new VerbException($"{path}: {e.Message}");
        }
    }

    // A capture has no interfaces to speak of: it meets all stages that any interface has.
    private static EdgeOptions Merge(EdgePlan plan) => new()
    {
        BlockAddresses = plan.Interfaces.Values.Any(o => o.BlockAddresses),
        BlockPrefixes = plan.Interfaces.Values.Any(o => o.BlockPrefixes),
        Balance = plan.Interfaces.Values.Any(o => o.Balance),
        RateLimit = plan.Interfaces.Values.Select(o => o.RateLimit).FirstOrDefault(r => r is not null),
    };

    private static TwinReplayEngine Bound(TwinEngine twin, EdgeProgram program, EdgeMaps maps)
    {
        foreach (var map in maps.All)
        {
            twin.Bind(map);
        }

        return new TwinReplayEngine(program, twin);
    }

    // All maps get their storage, also those of stages that are off: the user half writes them all.
    private static KernelReplayEngine InKernel(EdgeProgram program, EdgeMaps maps)
    {
        foreach (var map in maps.All)
        {
            map.Bind(KernelMapStorage.Create(map));
        }

        return new KernelReplayEngine(program, ProgramLoader.Load(ProgramCompiler.Compile(program, KernelTarget.Running)));
    }

    private static IEnumerable<string> Fill(EdgeState state, EdgePlan plan)
    {
        var now = TimeProvider.System.GetUtcNow();
        return
        [
            .. state.Balancer.Apply(plan.Services).Select(p => p.Message),
            .. state.BlockList.Apply([.. plan.Blocks.Values.Where(b => b.Until is null || b.Until > now).Select(b => new BlockRequest(b.Prefix, b.Until - now))]).Select(p => p.Message),
        ];
    }

    private static void Show(ParseResult result, ReplayResult outcome, EdgeState state, CaptureWriter? output)
    {
        var console = Screen.For(result.InvocationConfiguration.Output);
        console.Write(new Text($"{Screen.Count((ulong)outcome.Packets)} packets, {Screen.Bytes((ulong)outcome.Bytes)}, engine {outcome.Engine}\n\n"));
        var table = Screen.Table("VERDICT", ">PACKETS", ">BYTES");
        foreach (var (verdict, counter) in state.ReadCounters().Where(c => c.Value.Packets > 0))
        {
            table.Row(Platform.VerdictName(verdict), Screen.Count(counter.Packets), Screen.Bytes(counter.Bytes));
        }

        console.Write(table);
        if (output is not null)
        {
            console.Write(new Text($"\n{Screen.Count((ulong)output.Packets)} packets written\n"));
        }
    }

    private static int Finish(ParseResult result, ReplayResult outcome)
    {
        var error = result.InvocationConfiguration.Error;
        if (outcome.Unframed + outcome.Refused > 0)
        {
            error.WriteLine($"skep: {outcome.Unframed} packets have no Ethernet equivalent and {outcome.Refused} are too large for the engine; they were not run");
        }

        if (outcome.Damage is { } damage)
        {
            error.WriteLine($"skep: the capture is damaged: {Safe.Text(damage.Message)}; everything before that was replayed");
            return ExitCode.Failed;
        }

        return ExitCode.Ok;
    }
}
