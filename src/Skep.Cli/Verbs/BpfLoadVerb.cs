using System.CommandLine;
using System.Net.NetworkInformation;
using System.Text.Json.Nodes;
using Skep.Bpf;
using Skep.Bpf.Elf;
using Skep.Bpf.Elf.Linking;
using Skep.Bpf.Inspection;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using Skep.Cli.Output;
using Skep.Cli.Verbs.Bpf;

namespace Skep.Cli.Verbs;

/// <summary><c>skep bpf load</c>: what the kernel thinks of objects that other people compiled.</summary>
internal static class BpfLoadVerb
{
    public static Command Build()
    {
        var paths = Objects();
        var attach = new Option<bool>("--attach") { Description = "Attach what names a target in its section, and stay until Ctrl-C." };
        var device = new Option<string?>("--interface") { Description = "With --attach: where XDP programs and tcx/ingress, tcx/egress go.", HelpName = "name" };
        var cgroup = new Option<string?>("--cgroup") { Description = "With --attach: where programs of control groups go.", HelpName = "directory" };
        var process = new Option<int?>("--pid") { Description = "With --attach: the process of uprobes and USDT probes; all unless given.", HelpName = "process" };
        var seconds = new Option<double?>("--seconds") { Description = "With --attach: how long to stay, instead of until Ctrl-C.", HelpName = "seconds" };
        var extends = new Option<string?>("--extends") { Description = "For freplace programs: the program whose function they replace, by number, name, tag or pin.", HelpName = "program" };
        var token = new Option<string?>("--token") { Description = "Load by the BPF token of the bpffs mounted there (kernel 6.9).", HelpName = "directory" };
        var json = CommonOptions.Json();
        return new VerbCommand(
            "load", "Load the programs of an object file and say for each program and map what the kernel thinks of it (root); attach none unless asked. Several files are linked first.",
            "skep bpf load probe.o", "skep bpf load main.o library.o", "skep bpf load probe.o --attach --seconds 10", "skep bpf load probe.o --json")
        {
            paths, attach, device, cgroup, process, seconds, extends, token, json,
        }.Runs((result, stop) =>
        {
            var options = result.GetValue(attach) ? new AttachOptions
            {
                Interface = result.GetValue(device) is { } name ? IndexOf(name) : null, Cgroup = result.GetValue(cgroup), ProcessId = result.GetValue(process) ?? -1,
            }
            : result.GetValue(device) is null && result.GetValue(cgroup) is null && result.GetValue(process) is null && result.GetValue(seconds) is null ? null
            : throw new VerbException("--interface, --cgroup, --pid and --seconds say how to attach: give --attach too.", ExitCode.Usage);
            if (result.GetValue(seconds) is { } limit && limit is not (> 0 and <= 86400))
            {
                throw new VerbException("--seconds: more than 0, at most 86400.", ExitCode.Usage);
            }

            return RunAsync(result, result.GetValue(paths)!, result.GetValue(token), result.GetValue(extends), options, result.GetValue(seconds), result.GetValue(json), stop);
        });
    }

    /// <summary>One or more object files.</summary>
    internal static Argument<string[]> Objects() => new("object")
    {
        Description = "ELF object file of eBPF programs, as clang makes them.", Arity = ArgumentArity.OneOrMore,
    };

    /// <summary>Runs what reads object files, and says what is wrong with them as a user of the command is told.</summary>
    internal static T Reading<T>(string[] paths, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception e) when (e is ElfFormatException or IOException or UnauthorizedAccessException)
        {
            throw new VerbException($"{Safe.Text(string.Join(", ", paths))} cannot be read as {(paths.Length == 1 ? "an object file" : "object files")}: {Safe.Text(e.Message)}");
        }
    }

    private static async Task<int> RunAsync(
        ParseResult result, string[] paths, string? tokenPath, string? extends, AttachOptions? attach, double? seconds, bool json, CancellationToken stop)
    {
        var output = result.InvocationConfiguration.Output;
        var spec = Reading(paths, () => paths.Length == 1 ? ObjectSpec.Read(paths[0]) : ObjectSpec.Read(ObjectLinker.Link(paths)));
        using var token = tokenPath is null ? null : BpfToken.Create(tokenPath);
        using var extended = extends is null ? null : LoadedProgram.OpenById(BpfObject.Find(BpfObjectKind.Program, extends));
        using var loaded = spec.Load(new LoadOptions { Token = token, Extends = extended });
        IReadOnlyList<ObjectAttachment> attached = attach is null ? [] : loaded.Attach(attach);
        try
        {
            if (json)
            {
                PrintJson(output, loaded, attach is null ? null : attached);
            }
            else
            {
                Print(output, loaded, attached);
            }

            if (attached.Any(a => a.Links.Count > 0))
            {
                await output.FlushAsync(stop);
                await StayAsync(seconds, stop);
            }
            else if (attach is not null)
            {
                throw new VerbException("nothing is attached.");
            }

            return loaded.Succeeded && attached.All(a => a.Error is null) ? ExitCode.Ok : ExitCode.Failed;
        }
        finally
        {
            foreach (var link in attached.SelectMany(a => a.Links))
            {
                link.Dispose();
            }
        }
    }

    private static void PrintJson(TextWriter output, LoadedObject loaded, IReadOnlyList<ObjectAttachment>? attached)
    {
        var report = new JsonObject
        {
            ["maps"] = new JsonArray([.. loaded.Maps.Select(Describe)]),
            ["programs"] = new JsonArray([.. loaded.Programs.Select(Describe)]),
        };
        if (attached is not null)
        {
            report["attachments"] = new JsonArray([.. attached.Select(Describe)]);
        }

        output.WriteLine(report.ToJsonString());
    }

    private static async Task StayAsync(double? seconds, CancellationToken stop)
    {
        try
        {
            await Task.Delay(seconds is { } limit ? TimeSpan.FromSeconds(limit) : Timeout.InfiniteTimeSpan, stop);
        }
        catch (OperationCanceledException)
        {
            // Ctrl-C is how one leaves.
        }
    }

    private static void Print(TextWriter output, LoadedObject loaded, IReadOnlyList<ObjectAttachment> attached)
    {
        foreach (var map in loaded.Maps)
        {
            output.WriteLine($"map      {Safe.Text(map.Map.Name)} ({map.Map.Kind}, {map.Map.MaxEntries} entries): {Verdict(map.Error, $"created as {(map.Error is null ? ((KernelMapStorage)map.Map.Storage).Id : 0)}")}");
        }

        foreach (var program in loaded.Programs)
        {
            var accepted = program.Program is { } p
                ? $"loaded as {p.Id}, {p.Spec!.Instructions.Count} instructions, the verifier walked {p.VerifiedInstructions}, {p.JitedSize} bytes of machine code"
                : "not loaded: its section begins with a question mark";
            output.WriteLine($"program  {Safe.Text(program.Source.Name)} ({Safe.Text(program.Source.Section)}): {Verdict(program.Error, accepted)}");
        }

        foreach (var attachment in attached)
        {
            var done = attachment.Reason is { } reason
                ? $"not attached: {reason}"
                : $"attached to {Safe.Text(attachment.Target)} as {string.Join(", ", attachment.Links.Select(l => l.UsesNetlink || l.Id == 0 ? "no link" : $"link {l.Id}"))}";
            output.WriteLine($"link     {Safe.Text(attachment.Name)} ({Safe.Text(attachment.Section)}): {Verdict(attachment.Error, done)}");
        }
    }

    private static int IndexOf(string name) => NetworkInterface.GetAllNetworkInterfaces().FirstOrDefault(i => i.Name == name) is { } device
        ? device.Supports(NetworkInterfaceComponent.IPv4) ? device.GetIPProperties().GetIPv4Properties().Index : device.GetIPProperties().GetIPv6Properties().Index
        : throw new VerbException($"there is no interface '{Safe.Text(name)}'.", ExitCode.Usage);

    // The verifier's complaints have several lines.
    private static string Verdict(Exception? error, string otherwise) => error is null ? otherwise : $"FAILED: {Safe.Lines(error.Message)}";

    private static JsonObject Describe(ObjectAttachment attachment) => new()
    {
        ["name"] = attachment.Name,
        ["section"] = attachment.Section,
        ["target"] = attachment.Target,
        ["links"] = new JsonArray([.. attachment.Links.Select(l => (JsonNode)l.Id)]),
        ["reason"] = attachment.Reason,
        ["error"] = attachment.Error?.Message,
    };

    private static JsonObject Describe(LoadedObjectMap map) => new()
    {
        ["name"] = map.Map.Name,
        ["kind"] = map.Map.Kind.ToString(),
        ["keySize"] = map.Map.KeySize,
        ["valueSize"] = map.Map.ValueSize,
        ["maxEntries"] = map.Map.MaxEntries,
        ["id"] = map.Error is null ? ((KernelMapStorage)map.Map.Storage).Id : null,
        ["error"] = map.Error?.Message,
    };

    private static JsonObject Describe(LoadedObjectProgram program) => new()
    {
        ["name"] = program.Source.Name,
        ["section"] = program.Source.Section,
        ["type"] = program.Source.Spec?.Type.ToString(),
        ["instructions"] = program.Source.Spec?.Instructions.Count,
        ["id"] = program.Program?.Id,
        ["tag"] = program.Program?.Tag,
        ["verifiedInstructions"] = program.Program?.VerifiedInstructions,
        ["jitedBytes"] = program.Program?.JitedSize,
        ["error"] = program.Error?.Message,
    };
}
