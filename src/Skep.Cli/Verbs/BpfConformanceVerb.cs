using System.CommandLine;
using System.Text.Json.Nodes;
using Skep.Bpf.Asm.Notation;
using Skep.Bpf.Twin.Conformance;
using Skep.Cli.Output;

namespace Skep.Cli.Verbs;

/// <summary><c>skep bpf conformance</c>: runs files of conformance vectors for RFC 9669.</summary>
internal static class BpfConformanceVerb
{
    public static VerbCommand Build()
    {
        var paths = new Argument<string[]>("path") { Description = "Vector files (.data), or directories of them.", Arity = ArgumentArity.OneOrMore };
        var engine = new Option<string>("--engine")
        {
            Description = "interpreter (in the process) or kernel (root).", HelpName = "engine", DefaultValueFactory = _ => "interpreter",
        };
        engine.AcceptOnlyFromAmong("interpreter", "kernel");
        var json = CommonOptions.Json();
        return new VerbCommand(
            "conformance", "Run conformance vectors of the instruction set (RFC 9669) and say which pass.",
            "skep bpf conformance vectors/", "skep bpf conformance vectors/ --engine kernel --json")
        {
            paths, engine, json,
        }.Runs(result => Run(
            result,
            result.GetValue(paths)!,
            result.GetValue(engine) == "kernel" ? new KernelVectorEngine() : new InterpreterVectorEngine(),
            result.GetValue(json)));
    }

    private static int Run(ParseResult result, string[] paths, VectorEngine engine, bool json)
    {
        using var kernel = engine as IDisposable;
        var outcomes = Files(paths).Select(file => Run(file, engine)).ToArray();
        var passed = outcomes.Count(o => o.Status == VectorStatus.Passed);
        var output = result.InvocationConfiguration.Output;
        if (json)
        {
            output.WriteLine(new JsonObject
            {
                ["engine"] = engine.Name,
                ["passed"] = passed,
                ["vectors"] = new JsonArray([.. outcomes.Select(Describe)]),
            }.ToJsonString());
        }
        else
        {
            foreach (var outcome in outcomes)
            {
                output.WriteLine(Line(outcome));
            }

            output.WriteLine($"{engine.Name}: {passed} of {outcomes.Length} vectors passed");
        }

        return passed == outcomes.Length ? ExitCode.Ok : ExitCode.Failed;
    }

    private static VectorOutcome Run(string file, VectorEngine engine)
    {
        try
        {
            return engine.Run(VectorFile.Read(file));
        }
        catch (Exception e) when (e is AsmException or VectorFormatException or IOException or UnauthorizedAccessException)
        {
            return new VectorOutcome(Path.GetFileNameWithoutExtension(file), VectorStatus.Unreadable, null, null, e.Message);
        }
    }

    private static List<string> Files(string[] paths)
    {
        List<string> files = [];
        foreach (var path in paths)
        {
            if (Directory.Exists(path))
            {
                files.AddRange(Directory.EnumerateFiles(path, "*.data").Order(StringComparer.Ordinal));
            }
            else if (File.Exists(path))
            {
                files.Add(path);
            }
            else
            {
                throw new VerbException($"{Safe.Text(path)} is neither a file nor a directory.", ExitCode.Usage);
            }
        }

        return files.Count > 0 ? files : throw new VerbException("there is no vector file (*.data) in what was given.", ExitCode.Usage);
    }

    private static string Line(VectorOutcome outcome) => outcome.Status switch
    {
        VectorStatus.Passed => $"ok       {Safe.Text(outcome.Name)}",
        VectorStatus.Failed => $"FAILED   {Safe.Text(outcome.Name)}: r0 is 0x{outcome.Actual:x}, expected {(outcome.Expected is { } e ? $"0x{e:x}" : "a refusal")}",
        VectorStatus.Refused => $"REFUSED  {Safe.Text(outcome.Name)}: {Safe.Text(outcome.Reason ?? "")}",
        _ => $"NOT READ {Safe.Text(outcome.Name)}: {Safe.Text(outcome.Reason ?? "")}",
    };

    private static JsonObject Describe(VectorOutcome outcome) => new()
    {
        ["name"] = outcome.Name,
        ["status"] = outcome.Status.ToString(),
        ["expected"] = outcome.Expected is { } expected ? $"0x{expected:x}" : null,
        ["actual"] = outcome.Actual is { } actual ? $"0x{actual:x}" : null,
        ["reason"] = outcome.Reason,
    };
}
