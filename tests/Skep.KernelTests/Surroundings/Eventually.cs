using System.Diagnostics;

namespace Skep.KernelTests.Surroundings;

/// <summary>Waits for what the kernel does on its own time; fails after a time that only a fault exceeds.</summary>
internal static class Eventually
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

    public static void True(Func<bool> condition, string what)
    {
        var clock = Stopwatch.StartNew();
        while (!condition())
        {
            Assert.True(clock.Elapsed < s_patience, $"Waited in vain until {what}.");
            Thread.Yield();
        }
    }
}
