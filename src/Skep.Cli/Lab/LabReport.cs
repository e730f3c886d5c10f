using System.Text.Json;
using System.Text.Json.Serialization;

namespace Skep.Cli.Lab;

/// <summary>The lab's result as a machine reads it.</summary>
/// <param name="Started">When the run began.</param>
/// <param name="Seconds">How long it took.</param>
/// <param name="Kernel">Release of the kernel.</param>
/// <param name="Passed">Whether every check passed.</param>
/// <param name="Checks">What was expected and what was measured.</param>
internal sealed record LabReport(DateTimeOffset Started, double Seconds, string Kernel, bool Passed, IReadOnlyList<LabCheck> Checks)
{
    internal async Task WriteAsync(string path)
    {
        await using var file = File.Create(path);
        await JsonSerializer.SerializeAsync(file, this, LabReportJson.Default.LabReport);
    }
}

[JsonSerializable(typeof(LabReport))]
[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
internal sealed partial class LabReportJson : JsonSerializerContext;
