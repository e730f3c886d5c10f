using Skep.Bpf.Kernel;

namespace Skep.Bpf.Programming;

/// <summary>The tick of this host's kernel: 4 ms with <c>CONFIG_HZ=250</c>.</summary>
public static class KernelTick
{
    /// <summary>Nanoseconds of a tick.</summary>
    public static ulong Nanoseconds { get; } = Read();

    // The coarse clock moves with every tick, and says so.
    private static unsafe ulong Read()
    {
        var resolution = default(LibC.Timespec);
        return LibC.clock_getres(LibC.CLOCK_MONOTONIC_COARSE, &resolution) == 0 && resolution is { Seconds: 0, Nanoseconds: > 0 }
            ? (ulong)resolution.Nanoseconds
            : 10_000_000;
    }
}
