using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Skep.Benchmarks;

/// <summary>One measured comparison, as every benchmark writes it.</summary>
/// <param name="Case">What ran.</param>
/// <param name="Metric">What was measured.</param>
/// <param name="Unit">Its unit.</param>
/// <param name="Ours">Our figure.</param>
/// <param name="Baseline">The other's figure; null when there is nothing to compare with.</param>
/// <param name="BaselineName">Who the other is.</param>
/// <param name="Spread">How far the ratio went in single measurements, lowest and highest; null when it is exact or was not kept.</param>
internal sealed record BenchmarkRow(string Case, string Metric, string Unit, double Ours, double? Baseline, string? BaselineName,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double[]? Spread = null)
{
    /// <summary>Ours over baseline.</summary>
    public double? Ratio => Baseline is > 0 ? Math.Round(Ours / Baseline.Value, 3) : null;

    private static readonly JsonSerializerOptions Format = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    /// <summary>Prints the rows, and writes them to the file that <c>--json</c> names.</summary>
    internal static void Publish(IReadOnlyList<BenchmarkRow> rows, string[] arguments)
    {
        Console.WriteLine($"{"case",-34} {"metric",-30} {"ours",12} {"baseline",12} {"ratio",7}");
        foreach (var row in rows)
        {
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{row.Case,-34} {row.Metric + ", " + row.Unit,-30} {row.Ours,12:0.##} {(row.Baseline is { } b ? b.ToString("0.##", CultureInfo.InvariantCulture) : "-"),12} {row.Ratio?.ToString("0.00", CultureInfo.InvariantCulture) ?? "-",7}"));
        }

        var flag = Array.IndexOf(arguments, "--json");
        if (flag >= 0)
        {
            File.WriteAllText(arguments[flag + 1], JsonSerializer.Serialize(rows, Format) + "\n");
        }
    }
}
