using System.CommandLine;
using System.Reflection;
using System.Text.Json.Nodes;
using Skep.Bpf.Asm;
using Skep.Bpf.Compiler;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Bpf.Verification;
using Skep.Cli.Output;
using Skep.Cli.Verbs.Bpf;
using Skep.Engine;

namespace Skep.Cli.Verbs;

/// <summary><c>skep compile</c>: a program object as eBPF, with every stage on the way.</summary>
internal static class CompileVerb
{
    public static Command Build()
    {
        var name = new Argument<string?>("program") { HelpName = "program", Description = $"{string.Join(", ", BuiltIn.Names)}, or an assembly file; with --check all of Skep's unless given.", Arity = ArgumentArity.ZeroOrOne };
        name.CompletionSources.Add([.. BuiltIn.Names]);
        var type = new Option<string?>("--class") { Description = "Class in the assembly; the only program in it unless given. It needs a constructor without parameters.", HelpName = "name" };
        var dump = new Option<bool>("--dump") { Description = "Print every stage of the compilation and the disassembly." };
        var load = new Option<bool>("--load") { Description = "Also have the kernel verify it (root)." };
        var check = new Option<bool>("--check") { Description = "Verify it with no kernel, and print what is wrong as a compiler does; exit code 1 when something is." };
        var isa = new Option<int?>("--isa") { Description = "Instruction set level, 3 or 4; that of the running kernel unless given.", HelpName = "level" };
        var json = CommonOptions.Json();
        return new VerbCommand(
            "compile", "Compile a kernel program written in C# and say what came out.",
            "skep compile edge", "skep compile edge --dump | less", "skep compile probe.dll --class CountPackets --load", "skep compile --check")
        {
            name, type, dump, load, check, isa, json,
        }.Runs(result =>
        {
            if (result.GetValue(check))
            {
                return Check(result, result.GetValue(name), result.GetValue(type), result.GetValue(isa), result.GetValue(json));
            }

            var program = Find(result.GetValue(name) ?? throw new VerbException($"which program? {string.Join(", ", BuiltIn.Names)}, or an assembly file.", ExitCode.Usage), result.GetValue(type));
            return Run(result, program, result.GetValue(dump), result.GetValue(load), result.GetValue(isa), result.GetValue(json));
        });
    }

    private static int Run(ParseResult result, BpfProgram program, bool dump, bool load, int? isa, bool json)
    {
        var output = result.InvocationConfiguration.Output;
        var target = KernelTarget.Running with { IsaLevel = isa ?? KernelTarget.Running.IsaLevel };
        if (dump)
        {
            target = target with { Dump = (stage, text) => output.WriteLine($"==== {stage}\n{text}") };
        }

        var begun = TimeProvider.System.GetTimestamp();
        var spec = ProgramCompiler.Compile(program, target);
        var milliseconds = TimeProvider.System.GetElapsedTime(begun).TotalMilliseconds;
        if (dump)
        {
            output.WriteLine($"==== disassembly\n{Disassembler.Disassemble(spec)}");
        }

        (int Verified, int Jited)? verified = load ? Verify(spec) : null;
        if (json)
        {
            output.WriteLine(new JsonObject
            {
                ["name"] = spec.Name,
                ["type"] = spec.Type.ToString(),
                ["attachTarget"] = spec.AttachTarget,
                ["instructions"] = spec.Instructions.Count,
                ["isa"] = target.IsaLevel,
                ["milliseconds"] = Math.Round(milliseconds, 1),
                ["maps"] = new JsonArray([.. spec.Maps.Select(m => (JsonNode)m.Name)]),
                ["verifiedInstructions"] = verified?.Verified,
                ["jitedBytes"] = verified?.Jited,
            }.ToJsonString());
            return ExitCode.Ok;
        }

        output.WriteLine($"{spec.Name}: {spec.Type}{(spec.AttachTarget is { } hook ? $" at {hook}" : "")}, {spec.Instructions.Count} instructions (instruction set v{target.IsaLevel}), compiled in {milliseconds:0} ms");
        output.WriteLine($"maps: {(spec.Maps.Count == 0 ? "none" : string.Join(", ", spec.Maps.Select(m => $"{m.Name} ({m.Kind})")))}");
        if (verified is { } v)
        {
            output.WriteLine($"accepted by the kernel: the verifier walked {v.Verified} instructions, {v.Jited} bytes of machine code");
        }

        return ExitCode.Ok;
    }

    private static int Check(ParseResult result, string? name, string? type, int? isa, bool json)
    {
        var output = result.InvocationConfiguration.Output;
        var target = KernelTarget.Running with { IsaLevel = isa ?? KernelTarget.Running.IsaLevel };
        var checks = new List<(string Name, ProgramCheck Check)>();
        foreach (var one in name is null ? BuiltIn.Names : [name])
        {
            // What tail calls lead to is a program of its own, and is verified as such.
            checks.AddRange(ProgramCompiler.Compile(Find(one, type), target).Reachable.Select(spec => (spec.Name, ProgramCheck.Run(spec))));
        }

        if (json)
        {
            output.WriteLine(new JsonArray([.. checks.Select(c => (JsonNode)new JsonObject { ["name"] = c.Name, ["check"] = CheckReport.Json(c.Check) })]).ToJsonString());
        }
        else
        {
            checks.ForEach(c => output.WriteLine(CheckReport.Text(c.Name, c.Check)));
        }

        return checks.All(c => c.Check.Failure is null) ? ExitCode.Ok : ExitCode.Failed;
    }

    private static (int Verified, int Jited) Verify(ProgramSpec spec)
    {
        try
        {
            using var loaded = ProgramLoader.Load(spec);
            return (loaded.VerifiedInstructions, loaded.JitedSize);
        }
        finally
        {
            foreach (var map in spec.Maps)
            {
                map.Dispose();
            }
        }
    }

    private static BpfProgram Find(string name, string? type)
    {
        if (BuiltIn.Create(name) is { } program)
        {
            return program;
        }

        if (!File.Exists(name))
        {
            throw new VerbException(
                $"'{Safe.Text(name)}' is neither a program of Skep nor a file: {Skep.Resources.Reading.NearestName.Advice(name, BuiltIn.Names)}", ExitCode.Usage);
        }

        Type[] candidates;
        try
        {
            candidates = [.. Assembly.LoadFrom(Path.GetFullPath(name)).GetTypes().Where(t => !t.IsAbstract && t.IsAssignableTo(typeof(BpfProgram)))];
        }
        catch (Exception e) when (e is BadImageFormatException or FileLoadException or ReflectionTypeLoadException)
        {
            throw new VerbException($"{Safe.Text(name)} is no assembly that can be loaded: {e.Message}");
        }

        var chosen = candidates.Where(t => type is null || t.Name == type || t.FullName == type).ToArray();
        if (chosen.Length != 1)
        {
            throw new VerbException(
                candidates.Length == 0 ? $"{Safe.Text(name)} has no class that derives from XdpProgram, TcProgram or RawTracepointProgram."
                : $"say which class with --class: {string.Join(", ", candidates.Select(c => c.FullName))}.", ExitCode.Usage);
        }

        return chosen[0].GetConstructor(Type.EmptyTypes)?.Invoke(null) as BpfProgram
            ?? throw new VerbException($"{chosen[0].FullName} has no public constructor without parameters, so there is no object to freeze.");
    }
}
