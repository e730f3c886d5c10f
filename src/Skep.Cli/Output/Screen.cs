using System.Globalization;
using Skep.Resources;
using Spectre.Console;

namespace Skep.Cli.Output;

/// <summary>Text for people: colours on a terminal only, tables that survive a pipe.</summary>
internal static class Screen
{
    /// <summary>Wider than any line: what is read by grep or another program is not cut, nor broken.</summary>
    public const int Unbroken = 1 << 20;

    /// <summary>Whether the standard output is a terminal that takes colours.</summary>
    public static bool IsTerminal => !Console.IsOutputRedirected && Environment.GetEnvironmentVariable("TERM") is not (null or "" or "dumb");

    /// <summary>A console on <paramref name="output"/>.</summary>
    public static IAnsiConsole For(TextWriter output)
    {
        var terminal = IsTerminal && ReferenceEquals(output, Console.Out);
        var colours = terminal && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"));
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = terminal ? AnsiSupport.Yes : AnsiSupport.No,
            ColorSystem = colours ? ColorSystemSupport.Standard : ColorSystemSupport.NoColors,
            Interactive = InteractionSupport.No,
            Out = new AnsiConsoleOutput(output),
        });
        if (!terminal)
        {
            console.Profile.Width = Unbroken;
        }

        return console;
    }

    /// <summary>A table without frames: readable, and one row a line for grep and awk. At a terminal that is too narrow the last column is broken, the others are kept whole.</summary>
    public static Table Table(params string[] columns)
    {
        var table = new Table { Border = TableBorder.None, ShowHeaders = true };
        for (var i = 0; i < columns.Length; i++)
        {
            var column = columns[i];
            var right = column.StartsWith('>');
            var header = new TableColumn(new Markup($"[bold]{Escape(right ? column[1..] : column)}[/]")) { NoWrap = i < columns.Length - 1, Padding = new Padding(0, 0, 2, 0) };
            table.AddColumn(right ? header.RightAligned() : header);
        }

        return table;
    }

    /// <summary>Adds a row of plain text; what comes from outside is made safe.</summary>
    public static void Row(this Table table, params string[] cells) => table.AddRow([.. cells.Select(c => new Text(Safe.Text(c)))]);

    /// <summary>Adds a row of markup.</summary>
    public static void MarkupRow(this Table table, params string[] cells) => table.AddRow([.. cells.Select(c => new Markup(c))]);

    /// <summary>Text from outside within markup.</summary>
    public static string Escape(string text) => Markup.Escape(Safe.Text(text));

    public static string Bytes(ulong bytes) => bytes switch
    {
        < 10_000 => string.Create(CultureInfo.InvariantCulture, $"{bytes} B"),
        < 10_000_000 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e3:0} kB"),
        < 10_000_000_000 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e6:0} MB"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e9:0} GB"),
    };

    public static string Count(ulong count) => count.ToString("N0", CultureInfo.InvariantCulture).Replace(',', ' ');

    public static string Rtt(double? microseconds) => microseconds switch
    {
        null => "-",
        < 1000 => string.Create(CultureInfo.InvariantCulture, $"{microseconds:0} us"),
        < 10_000 => string.Create(CultureInfo.InvariantCulture, $"{microseconds / 1000:0.0} ms"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{microseconds / 1000:0} ms"),
    };

    /// <summary>Time left until an end, or since a start.</summary>
    public static string Span(TimeSpan span) => Duration.Format(TimeSpan.FromSeconds(Math.Max(0, Math.Round(span.TotalSeconds))));

    /// <summary>Address and port as they are written.</summary>
    public static string Endpoint(string address, int port) => address.Contains(':', StringComparison.Ordinal) ? $"[{address}]:{port}" : $"{address}:{port}";
}
