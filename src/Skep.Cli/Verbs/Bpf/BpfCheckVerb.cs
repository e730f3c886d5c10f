using System.CommandLine;
using System.Text.Json.Nodes;
using Skep.Bpf.Programs;
using Skep.Bpf.Verification;
using Skep.Cli.Output;

namespace Skep.Cli.Verbs.Bpf;

/// <summary><c>skep bpf check</c>: our own verifier over objects that other people compiled, or assembler text; nothing is loaded.</summary>
internal static class BpfCheckVerb
{
    public static Command Build()
    {
        var paths = new Argument<string[]>("file")
        {
            Description = "Object file (several are linked first), assembler text, or instructions as they lie in memory; '-' is the standard input.", Arity = ArgumentArity.OneOrMore,
        };
        var type = ProgramTypes.Option("Program type of code that does not say it itself.");
        var json = CommonOptions.Json();
        return new VerbCommand(
            "check", "Verify programs with no kernel: what any kernel rejects for certain is named with its place, rule and mend. Nothing is loaded.",
            "skep bpf check probe.o", "skep bpf check probe.o --json", "skep bpf check - --type tc < filter.s")
        {
            paths, type, json,
        }.Runs(result => Run(result, CodeInput.Programs(result.GetValue(paths)!, ProgramTypes.Of(result.GetValue(type)!)), result.GetValue(json)));
    }

    private static int Run(ParseResult result, IReadOnlyList<CodeProgram> programs, bool json)
    {
        var output = result.InvocationConfiguration.Output;
        var checks = programs.Select(p => (Program: p, Check: p.Spec is { } spec ? ProgramCheck.Run(spec) : null)).ToArray();
        if (json)
        {
            output.WriteLine(new JsonArray([.. checks.Select(c => (JsonNode)new JsonObject
            {
                ["name"] = c.Program.Name,
                ["section"] = c.Program.Section,
                ["problem"] = c.Program.Problem,
                ["check"] = c.Check is { } check ? CheckReport.Json(check) : null,
            })]).ToJsonString());
        }
        else
        {
            foreach (var (program, check) in checks)
            {
                output.WriteLine(check is null ? $"{Safe.Text(program.Name)}: cannot be made ready for this kernel: {Safe.Text(program.Problem ?? "")}" : CheckReport.Text(program.Name, check));
            }
        }

        return checks.All(c => c.Check is { Failure: null }) ? ExitCode.Ok : ExitCode.Failed;
    }
}

/// <summary>Program types by the section name that people know them by.</summary>
internal static class ProgramTypes
{
    /// <summary>The option that names a type.</summary>
    public static Option<string> Option(string description)
    {
        var option = new Option<string>("--type") { Description = description + " As a section is named: xdp, tc, cgroup/connect4, ...", HelpName = "section", DefaultValueFactory = _ => "xdp" };
        option.CompletionSources.Add([.. ProgramKinds.All.Select(k => k.Sections[0].Name)]);
        option.Validators.Add(r =>
        {
            if (r.GetValueOrDefault<string>() is { } name && ProgramKinds.Match(name) is null)
            {
                r.AddError($"--type: no kind of program has the section '{Safe.Text(name)}'. {Skep.Resources.Reading.NearestName.Advice(name, [.. ProgramKinds.All.Select(k => k.Sections[0].Name)])}");
            }
        });
        return option;
    }

    /// <summary>The type that a section name says.</summary>
    public static ProgramType Of(string section) => ProgramKinds.Match(section)!.Kind.Type;
}
