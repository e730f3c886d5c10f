using Skep.Cli.Output;
using Spectre.Console;

namespace Skep.Cli.Lab;

/// <summary>What a person sees of a run: a line per row while it runs, a table at the end.</summary>
internal sealed class LabOutput(TextWriter output)
{
    private readonly IAnsiConsole _console = Screen.For(output);

    internal void Say(string line) => output.WriteLine(line);

    internal void Show(LabReport report)
    {
        var table = new Table { Border = TableBorder.None };
        foreach (var column in new[] { "", "row", "what is shown", "expected", "measured" })
        {
            table.AddColumn(new TableColumn(new Markup($"[bold]{column}[/]")) { Padding = new Padding(0, 0, 2, 0) });
        }

        var row = "";
        foreach (var check in report.Checks)
        {
            table.AddRow(
                check.Passed ? new Markup("[green]ok[/]") : new Markup("[red bold]FAILED[/]"),
                new Text(check.Row == row ? "" : check.Row), new Text(Safe.Text(check.Claim)), new Text(Safe.Text(check.Expected)), new Text(Safe.Text(check.Measured)));
            row = check.Row;
        }

        _console.Write(table);
        var failed = report.Checks.Count(c => !c.Passed);
        output.WriteLine($"{report.Checks.Count - failed} of {report.Checks.Count} as expected in {report.Seconds:0.0} s");
    }
}
