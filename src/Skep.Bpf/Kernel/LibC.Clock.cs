using System.Runtime.InteropServices;

namespace Skep.Bpf.Kernel;

/// <content>Clocks (linux/time.h).</content>
internal static unsafe partial class LibC
{
    public const int CLOCK_MONOTONIC_COARSE = 6;

    [LibraryImport("libc")]
    public static partial int clock_getres(int clock, Timespec* resolution);

    /// <summary>struct timespec: s64 tv_sec; s64 tv_nsec.</summary>
    public struct Timespec
    {
        public long Seconds;
        public long Nanoseconds;
    }
}
