using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Serialization;
using Skep.Agent;
using Skep.Cli.Output;
using Spectre.Console;

namespace Skep.Cli.Verbs;

/// <summary><c>skep doctor</c>: what this host offers, what is degraded, and why.</summary>
internal static class DoctorVerb
{
    public static Command Build()
    {
        var json = CommonOptions.Json();
        var all = new Option<bool>("--all") { Description = "Also what Skep can use but does not need." };
        return new VerbCommand(
            "doctor",
            "Check the kernel, the privileges and the surroundings. Exit code 0 when the kernel engine works in full, 1 when something is degraded or missing.",
            "skep doctor", "skep doctor --all", "skep doctor --json")
        {
            all, json,
        }.Runs(result =>
        {
            var report = HostCheck.Run();
            var output = result.InvocationConfiguration.Output;
            if (result.GetValue(json))
            {
                output.WriteLine(JsonSerializer.Serialize(report, DoctorJson.Default.HostReport));
            }
            else
            {
                Show(Screen.For(output), report, result.GetValue(all));
            }

            return report.IsHealthy ? ExitCode.Ok : ExitCode.Failed;
        });
    }

    private static void Show(IAnsiConsole console, HostReport report, bool all)
    {
        var table = Screen.Table("", "CHECK", "FINDING", "WHAT IT MEANS");
        foreach (var check in report.Checks.Where(c => all || c.Result != CheckResult.Optional))
        {
            var mark = check.Result switch
            {
                CheckResult.Good => "[green]ok[/]",
                CheckResult.Degraded => "[yellow]degraded[/]",
                CheckResult.Missing => "[red]missing[/]",
                CheckResult.Unknown => "[grey]unknown[/]",
                _ => "[grey]optional[/]",
            };
            table.MarkupRow(mark, Screen.Escape(check.Name), Screen.Escape(check.Finding), Screen.Escape(check.Advice));
        }

        console.Write(table);
        console.WriteLine();
        console.WriteLine(report.Summary);
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true, UseStringEnumConverter = true)]
[JsonSerializable(typeof(HostReport))]
internal sealed partial class DoctorJson : JsonSerializerContext;
