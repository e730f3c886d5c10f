using System.Text.Json.Nodes;
using Skep.Bpf.Programs;
using Skep.Bpf.Verification;
using Skep.Cli.Output;

namespace Skep.Cli.Verbs.Bpf;

/// <summary>What our own verifier says of a program, for people and programs.</summary>
internal static class CheckReport
{
    /// <summary>A diagnostic as a compiler prints one, or a line that says that nothing was found.</summary>
    public static string Text(string name, ProgramCheck check) => check.Failure is { } failure
        ? Safe.Lines(failure.ToString())
        : $"{Safe.Text(name)}: no mistake found, {check.Walked} instructions walked{(check.IsComplete ? "" : "; there were too many paths to walk all")}";

    /// <summary>The same as JSON.</summary>
    public static JsonObject Json(ProgramCheck check) => new()
    {
        ["passed"] = check.Failure is null,
        ["walked"] = check.Walked,
        ["complete"] = check.IsComplete,
        ["failure"] = check.Failure is not { } f ? null : new JsonObject
        {
            ["id"] = f.RuleId,
            ["detail"] = f.Detail,
            ["rule"] = f.Rule,
            ["mend"] = f.Mend,
            ["known"] = f.Known,
            ["slot"] = f.Slot,
            ["instruction"] = f.Instruction,
            ["position"] = Position(f.Position),
        },
    };

    /// <summary>A place in the source.</summary>
    public static JsonObject? Position(SourceLine? position) => position is not { } line ? null : new JsonObject
    {
        ["file"] = line.File, ["line"] = line.Line, ["column"] = line.Column, ["text"] = line.Text.Trim(),
    };
}
