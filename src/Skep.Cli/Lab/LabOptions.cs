namespace Skep.Cli.Lab;

/// <summary>What the user asked of the lab.</summary>
/// <param name="Only">Names of the rows to run; empty for all.</param>
/// <param name="Report">File for the JSON report, if any.</param>
/// <param name="Keep">Leave everything running until interrupted.</param>
internal sealed record LabOptions(IReadOnlyList<string> Only, string? Report, bool Keep);
