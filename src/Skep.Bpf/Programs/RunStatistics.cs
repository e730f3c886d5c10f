using Skep.Bpf.Kernel;

namespace Skep.Bpf.Programs;

/// <summary>How often and how long a program ran, all CPUs together.</summary>
/// <param name="Runs">Number of runs.</param>
/// <param name="RunTime">Time spent in them.</param>
/// <param name="RunTimeNanoseconds">The same in nanoseconds.</param>
public readonly record struct RunStatistics(ulong Runs, TimeSpan RunTime, ulong RunTimeNanoseconds);

/// <summary>Has the kernel count runs and run time of all programs until disposed of (kernel 5.8); costs about 20 ns per run.</summary>
public sealed class RunStatisticsSwitch : IDisposable
{
    private readonly KernelHandle _handle;

    /// <summary>Turns counting on.</summary>
    /// <exception cref="BpfException">EPERM without CAP_SYS_ADMIN.</exception>
    public RunStatisticsSwitch() =>
        BpfException.ThrowIfFailed(BpfSyscall.EnableRunTimeStats(out _handle), "Turning on run statistics failed");

    /// <summary>Stops counting, unless somebody else counts.</summary>
    public void Dispose() => _handle.Dispose();
}
