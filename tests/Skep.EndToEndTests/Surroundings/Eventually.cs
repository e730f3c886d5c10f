namespace Skep.EndToEndTests.Surroundings;

/// <summary>Asks until the answer is yes.</summary>
internal static class Eventually
{
    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(100);

    public static async Task HoldsAsync(Func<Task<bool>> condition, TimeSpan limit, Func<string> evidence)
    {
        var started = TimeProvider.System.GetTimestamp();
        while (!await AsksAsync(condition))
        {
            Assert.True(TimeProvider.System.GetElapsedTime(started) < limit, $"not within {limit}:\n{evidence()}");
            await Task.Delay(s_interval);
        }
    }

    private static async Task<bool> AsksAsync(Func<Task<bool>> condition)
    {
        try
        {
            return await condition();
        }
        catch (HttpRequestException)
        {
            return false; // Not listening yet.
        }
    }
}
