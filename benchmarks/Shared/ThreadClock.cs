using System.Runtime.InteropServices;

namespace Skep.Benchmarks;

/// <summary>CPU time of the calling thread: what a test run costs, whoever else wants the processor.</summary>
internal static partial class ThreadClock
{
    private const int CLOCK_THREAD_CPUTIME_ID = 3;

    internal static long Nanoseconds
    {
        get
        {
            if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, out var time) != 0)
            {
                throw new InvalidOperationException($"clock_gettime: errno {Marshal.GetLastPInvokeError()}");
            }

            return (time.Seconds * 1_000_000_000) + time.Nanoseconds;
        }
    }

    /// <summary>CPU time of children that have ended and been waited for.</summary>
    internal static unsafe TimeSpan Children
    {
        get
        {
            const int RUSAGE_CHILDREN = -1;
            const int Words = 18; // struct rusage: user and system time in seconds and microseconds, then fourteen counters
            var usage = stackalloc long[Words];
            return getrusage(RUSAGE_CHILDREN, usage) == 0
                ? TimeSpan.FromSeconds(usage[0] + usage[2]) + TimeSpan.FromMicroseconds(usage[1] + usage[3])
                : throw new InvalidOperationException($"getrusage: errno {Marshal.GetLastPInvokeError()}");
        }
    }

    /// <summary>Keeps the calling thread on the last processor.</summary>
    internal static void Pin()
    {
        var mask = 1UL << Math.Min(63, Environment.ProcessorCount - 1);
        if (sched_setaffinity(0, sizeof(ulong), in mask) != 0)
        {
            throw new InvalidOperationException($"sched_setaffinity: errno {Marshal.GetLastPInvokeError()}");
        }
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int clock_gettime(int clock, out Timespec time);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int sched_setaffinity(int thread, nuint size, in ulong mask);

    [LibraryImport("libc", SetLastError = true)]
    private static unsafe partial int getrusage(int who, long* usage);

    private struct Timespec
    {
        internal long Seconds;
        internal long Nanoseconds;
    }
}
