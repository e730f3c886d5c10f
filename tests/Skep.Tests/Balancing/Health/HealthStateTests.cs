using Skep.Balancing.Health;

namespace Skep.Tests.Balancing.Health;

public sealed class HealthStateTests
{
    private static readonly HealthCheck s_check = new() { Healthy = 2, Unhealthy = 3 };

    [Theory]
    [InlineData("+", "+")]
    [InlineData("-", "-")]
    [InlineData("+--", "+++")]
    [InlineData("+---", "+++-")]
    [InlineData("+--+--", "++++++")]
    [InlineData("-+", "--")]
    [InlineData("-++", "--+")]
    [InlineData("-+-++", "----+")]
    [InlineData("+---++", "+++--+")]
    public void Thresholds_in_a_row_turn_it_over_and_the_first_check_counts_alone(string results, string expected)
    {
        var state = HealthState.Unknown;
        Assert.True(state.IsAlive);
        var seen = "";
        foreach (var result in results)
        {
            state = state.After(new ProbeResult(result == '+', result == '+' ? "fine" : "refused"), s_check);
            seen += state.IsAlive ? '+' : '-';
        }

        Assert.Equal(expected, seen);
        Assert.Equal(results.Length, state.Checks);
        Assert.Equal(results[^1] == '+' ? "fine" : "refused", state.Reason);
    }
}
