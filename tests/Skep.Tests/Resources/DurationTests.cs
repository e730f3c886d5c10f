using Skep.Resources;

namespace Skep.Tests.Resources;

public class DurationTests
{
    [Theory]
    [InlineData("500ms", 500)]
    [InlineData("10s", 10_000)]
    [InlineData("1h30m", 5_400_000)]
    [InlineData("7d", 604_800_000)]
    public void Durations_read_as_people_write_them(string text, double milliseconds)
    {
        Assert.True(Duration.TryParse(text, out var duration));
        Assert.Equal(milliseconds, duration.TotalMilliseconds);
        Assert.Equal(text, Duration.Format(duration));
    }

    [Theory]
    [InlineData("")]
    [InlineData("10")]
    [InlineData("s")]
    [InlineData("-5s")]
    [InlineData("1.5h")]
    [InlineData("0s")]
    [InlineData("99999999999999999999s")]
    [InlineData("9999999999999999s")]
    public void Anything_else_is_refused(string text) => Assert.False(Duration.TryParse(text, out _));
}
