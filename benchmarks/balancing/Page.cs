using System.Globalization;
using System.Text;

namespace Skep.Benchmarks.Balancing;

/// <summary>
/// The tables of the page for people, written of the rows: each stands behind a comment with its name, and is replaced when rows for it were measured. What stands between
/// the tables is written by hand and stays.
/// </summary>
internal static class Page
{
    private const string Minimum = "time, minimum";

    // From the most special program to what it is compared with.
    private static readonly string[] Programs = ["by traffic", "specialised", "table", "general"];

    private static readonly (string Name, Func<IReadOnlyList<BenchmarkRow>, string> Table)[] Tables =
    [
        ("packets", Packets),
        ("steps", Steps),
        ("headers", rows => Plain(rows.Where(r => r.BaselineName == "our own IPIP"), "our own IPIP")),
        ("programs", Sizes),
        ("exchanges", Exchanges),
        ("shares", rows => Plain(Of(rows, "share, "), "Maglev built anew")),
        ("moves", rows => Plain(Of(rows, "move, "), "Maglev built anew")),
        ("rebuilds", rows => Plain(Of(rows, "rebuild, "), "Maglev built anew")),
        ("scale", rows => Plain(Of(rows, "10000 services"), "-")),
        ("queues", rows => Plain(rows.Where(r => r.BaselineName is "weights that stay" or "least connections" && !r.Case.Contains("real traffic", StringComparison.Ordinal)), null)),
        ("latency", rows => Plain(rows.Where(r => r.Case.Contains("real traffic", StringComparison.Ordinal)), null)),
        ("ways", rows => Plain(rows.Where(r => r.BaselineName == Namespaces.Direct), null)),
    ];

    /// <summary>Writes the tables that there are rows for into the page that <c>--page</c> names.</summary>
    internal static void Update(IReadOnlyList<BenchmarkRow> rows, string[] arguments)
    {
        if (Array.IndexOf(arguments, "--page") is not (var flag and >= 0))
        {
            return;
        }

        var lines = File.ReadAllLines(arguments[flag + 1]).ToList();
        foreach (var (name, make) in Tables)
        {
            var table = make(rows);
            var from = lines.IndexOf($"<!-- {name} -->") + 1;
            if (table.Length == 0)
            {
                continue;
            }

            if (from == 0)
            {
                throw new InvalidOperationException($"{arguments[flag + 1]} has no line '<!-- {name} -->' behind which the table belongs");
            }

            var to = from;
            while (to < lines.Count && lines[to].StartsWith('|'))
            {
                to++;
            }

            lines.RemoveRange(from, to - from);
            lines.InsertRange(from, table.TrimEnd('\n').Split('\n'));
        }

        File.WriteAllText(arguments[flag + 1], string.Join('\n', lines) + "\n");
    }

    private static IEnumerable<BenchmarkRow> Of(IEnumerable<BenchmarkRow> rows, string prefix) => rows.Where(r => r.Case.StartsWith(prefix, StringComparison.Ordinal));

    // ns, and in brackets the ratio to the baseline; in the last column Katran itself where it was measured.
    private static string Packets(IReadOnlyList<BenchmarkRow> rows)
    {
        var text = new StringBuilder();
        foreach (var name in Cases(rows))
        {
            BenchmarkRow? Row(string program) => rows.FirstOrDefault(r => r.Case == $"{name}, {program}" && r.Metric == Minimum);
            var cells = Programs.Select(p => Row(p) is { } row ? $"{Text(row.Ours)} ({Ratio(row.Ratio)})" : "-");
            var katran = Row("Katran");
            text.Append(CultureInfo.InvariantCulture, $"| {name} | {string.Join(" | ", cells)} | {Text(Row("general")!.Baseline!.Value)} | {(katran is null ? "-" : Text(katran.Ours))} |\n");
        }

        return text.Length == 0 ? "" : $"| packets | {string.Join(" | ", Programs)} | baseline | Katran |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n{text}";
    }

    // How many times as fast as the general program, and in brackets without the loop and the restoring.
    private static string Steps(IReadOnlyList<BenchmarkRow> rows)
    {
        string[] programs = ["table", "specialised", "by traffic"];
        var text = new StringBuilder();
        foreach (var name in Cases(rows))
        {
            double? Times(string suffix) => rows.FirstOrDefault(r => r.Case == name + suffix && r.Metric == Minimum) is { Baseline: { } baseline } row ? baseline / row.Ours : null;
            var cells = programs.Select(p => Times($", {p} beside the general") is { } times ? $"{Ratio(times)} ({Ratio(Times($", {p} beside the general, net"))})" : "-");
            text.Append(CultureInfo.InvariantCulture, $"| {name} | {string.Join(" | ", cells)} |\n");
        }

        return text.Length == 0 ? "" : $"| times as fast as the general program | without what is not needed | endpoints as code | those with traffic first |\n| --- | ---: | ---: | ---: |\n{text}";
    }

    private static string Sizes(IReadOnlyList<BenchmarkRow> rows)
    {
        var text = new StringBuilder();
        foreach (var program in rows.Where(r => r.Metric == "instructions"))
        {
            Line(program.Case, r => r.Ours, rows.Where(r => r.Case == program.Case));
        }

        if (rows.FirstOrDefault(r => r.Case.StartsWith("general program, ", StringComparison.Ordinal)) is { } first)
        {
            Line("baseline", r => r.Baseline!.Value, rows.Where(r => r.Case == first.Case));
        }

        return text.Length == 0 ? "" : $"| program | instructions | the verifier walks | machine code, bytes | time to load, ms |\n| --- | ---: | ---: | ---: | ---: |\n{text}";

        void Line(string name, Func<BenchmarkRow, double> figure, IEnumerable<BenchmarkRow> of)
        {
            var cells = new[] { "instructions", "instructions the verifier walks", "machine code", "time to load" }.Select(metric => Text(figure(of.First(r => r.Metric == metric))));
            text.Append(CultureInfo.InvariantCulture, $"| {name} | {string.Join(" | ", cells)} |\n");
        }
    }

    private static string Exchanges(IReadOnlyList<BenchmarkRow> rows)
    {
        string[] parts = ["compiled anew", "loaded", "swapped", "all three"];
        var text = new StringBuilder();
        foreach (var row in rows.Where(r => r.Case.EndsWith(parts[0], StringComparison.Ordinal)))
        {
            var name = row.Case[..^parts[0].Length];
            text.Append(CultureInfo.InvariantCulture, $"| {name.TrimEnd(' ', ',')} | {string.Join(" | ", parts.Select(p => Text(rows.First(r => r.Case == name + p).Ours)))} |\n");
        }

        return text.Length == 0 ? "" : $"| another program while packets flow, ms, median | {string.Join(" | ", parts)} |\n| --- | ---: | ---: | ---: | ---: |\n{text}";
    }

    private static string Plain(IEnumerable<BenchmarkRow> rows, string? baseline)
    {
        var text = new StringBuilder();
        foreach (var row in rows)
        {
            var beside = baseline is null ? $" {row.BaselineName} |" : "";
            text.Append(CultureInfo.InvariantCulture, $"| {row.Case} | {row.Metric}, {row.Unit} | {Text(row.Ours)} |{beside} {(row.Baseline is { } b ? Text(b) : "-")} | {Ratio(row.Ratio)} |\n");
        }

        return text.Length == 0 ? "" : baseline is null
            ? $"| case | metric | ours | beside | theirs | ratio |\n| --- | --- | ---: | --- | ---: | ---: |\n{text}"
            : $"| case | metric | ours | {baseline} | ratio |\n| --- | --- | ---: | ---: | ---: |\n{text}";
    }

    // What all programs were compared in, in the order of measuring.
    private static IEnumerable<string> Cases(IEnumerable<BenchmarkRow> rows) =>
        rows.Where(r => r.Case.EndsWith(", general", StringComparison.Ordinal) && r.Metric == Minimum).Select(r => r.Case[..^", general".Length]);

    private static string Ratio(double? ratio) => ratio is { } value ? value.ToString("0.00", CultureInfo.InvariantCulture) : "-";

    private static string Text(double value) => value.ToString(Math.Abs(value) >= 100 ? "N0" : Math.Abs(value) >= 10 ? "0.#" : "0.###", CultureInfo.InvariantCulture);
}
