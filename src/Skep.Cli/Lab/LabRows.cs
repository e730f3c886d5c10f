using Skep.Cli.Lab.Rows;

namespace Skep.Cli.Lab;

/// <summary>The rows in the order in which they run.</summary>
internal static class LabRows
{
    internal static IReadOnlyList<LabRow> All { get; } =
    [
        new RoutingRow(),
    ];
}
