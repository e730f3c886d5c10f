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

    [Fact]
    public void The_times_of_the_checks_of_late_that_passed_are_their_mean()
    {
        var state = HealthState.Unknown;
        void Check(bool passes, int milliseconds) => state = state.After(new ProbeResult(passes, "") { Took = TimeSpan.FromMilliseconds(milliseconds) }, s_check);
        Check(true, 10);
        Check(true, 30);
        Assert.Equal((2, 0.020), (state.Timed, Math.Round(state.Seconds, 6)));
        for (var i = 0; i < 60; i++)
        {
            Check(true, 50);
        }

        Assert.Equal(8, state.Timed);
        Assert.Equal(0.050, state.Seconds, 1e-4);
        Check(false, 2000);
        Assert.Equal(0, state.Timed);
        Check(true, 70);
        Assert.Equal((1, 0.070), (state.Timed, Math.Round(state.Seconds, 6)));
    }
}
