using System.Globalization;

namespace Skep.Cli.Lab;

/// <summary>Where a row writes what it found.</summary>
internal sealed class LabChecks(string row)
{
    private readonly List<LabCheck> _checks = [];

    internal IReadOnlyList<LabCheck> All => _checks;

    internal void That(string claim, bool passed, string expected, string measured) =>
        _checks.Add(new LabCheck(row, claim, expected, measured, passed));

    internal void Zero(string claim, long measured, string evidence = "") =>
        That(claim, measured == 0, "0", Number(measured) + (evidence.Length > 0 ? $" ({evidence})" : ""));

    /// <summary>The measured value is within the tolerance (absolute) of the expected one.</summary>
    internal void Near(string claim, double expected, double measured, double tolerance, string unit = "") =>
        That(claim, Math.Abs(measured - expected) <= tolerance, $"{Number(expected)} ± {Number(tolerance)}{unit}", Number(measured) + unit);

    internal void AtMost(string claim, double limit, double measured, string unit = "") =>
        That(claim, measured <= limit, $"<= {Number(limit)}{unit}", Number(measured) + unit);

    internal void AtLeast(string claim, double limit, double measured, string unit = "") =>
        That(claim, measured >= limit, $">= {Number(limit)}{unit}", Number(measured) + unit);

    private static string Number(double value) => value.ToString("0.##", CultureInfo.InvariantCulture);
}
