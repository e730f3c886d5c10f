using Skep.Cli.Lab.Rows;

namespace Skep.Cli.Lab;

/// <summary>The rows in the order in which they run: the ground first, the most violent last.</summary>
internal static class LabRows
{
    internal static IReadOnlyList<LabRow> All { get; } =
    [
        new RoutingRow(),
        new BalanceRow(),
        new AccountingRow(),
        new DrainRow(),
        new DeadlineRow(),
        new CanaryRow(),
        new AdaptiveRow(),
        new FailingRow(),
        new BlockRow(),
        new RateLimitRow(),
        new DropsRow(),
        new BottleneckRow(),
        new SurviveRow(),
    ];
}
