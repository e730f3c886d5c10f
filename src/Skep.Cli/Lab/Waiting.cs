namespace Skep.Cli.Lab;

/// <summary>Waits for a condition by asking again, with a limit.</summary>
internal static class Waiting
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(25);

    internal static async Task<bool> UntilAsync(Func<Task<bool>> condition, TimeSpan limit, TimeProvider time, CancellationToken cancellation)
    {
        var started = time.GetTimestamp();
        while (!await condition())
        {
            if (time.GetElapsedTime(started) > limit)
            {
                return false;
            }

            await Task.Delay(Interval, time, cancellation);
        }

        return true;
    }

    internal static Task<bool> UntilAsync(Func<bool> condition, TimeSpan limit, TimeProvider time, CancellationToken cancellation) =>
        UntilAsync(() => Task.FromResult(condition()), limit, time, cancellation);
}
