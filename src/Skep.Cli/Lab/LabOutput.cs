using Spectre.Console;

namespace Skep.Cli.Lab;

/// <summary>What a person sees of a run. Colours appear on a terminal only.</summary>
internal sealed class LabOutput(IAnsiConsole console)
{
    internal void Say(string line) => console.WriteLine(line);

    internal void Show(LabReport report)
    {
        var table = new Table().Border(console.Profile.Capabilities.Ansi ? TableBorder.Rounded : TableBorder.Ascii);
        table.AddColumns("row", "what is shown", "expected", "measured", "");
        foreach (var check in report.Checks)
        {
            table.AddRow(
                new Text(check.Row), new Text(check.Claim), new Text(check.Expected), new Text(check.Measured),
                check.Passed ? new Text("ok", Color.Green) : new Text("FAILED", Color.Red));
        }

        console.Write(table);
        var failed = report.Checks.Count(c => !c.Passed);
        console.WriteLine($"{report.Checks.Count - failed} of {report.Checks.Count} as expected, {report.Seconds:0.0} s");
    }
}
