using System.CommandLine;
using System.Text.Json.Nodes;
using Skep.Bpf.Elf;
using Skep.Bpf.Elf.Linking;
using Skep.Bpf.Maps;
using Skep.Cli.Output;

namespace Skep.Cli.Verbs;

/// <summary><c>skep bpf load</c>: what the kernel thinks of objects that other people compiled.</summary>
internal static class BpfLoadVerb
{
    public static Command Build()
    {
        var paths = Objects();
        var json = CommonOptions.Json();
        return new VerbCommand(
            "load", "Load the programs of an object file, attach none, and say for each program and map what the kernel thinks of it (root). Several files are linked first.",
            "skep bpf load probe.o", "skep bpf load main.o library.o", "skep bpf load probe.o --json")
        {
            paths, json,
        }.Runs(result => Run(result, result.GetValue(paths)!, result.GetValue(json)));
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

    private static int Run(ParseResult result, string[] paths, bool json)
    {
        var output = result.InvocationConfiguration.Output;
        using var loaded = Reading(paths, () => paths.Length == 1 ? ObjectSpec.Read(paths[0]) : ObjectSpec.Read(ObjectLinker.Link(paths))).Load();
        if (json)
        {
            output.WriteLine(new JsonObject
            {
                ["maps"] = new JsonArray([.. loaded.Maps.Select(Describe)]),
                ["programs"] = new JsonArray([.. loaded.Programs.Select(Describe)]),
            }.ToJsonString());
        }
        else
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
        }

        return loaded.Succeeded ? ExitCode.Ok : ExitCode.Failed;
    }

    private static string Verdict(Exception? error, string otherwise) => error is null ? otherwise : $"FAILED: {Safe.Text(error.Message)}";

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
