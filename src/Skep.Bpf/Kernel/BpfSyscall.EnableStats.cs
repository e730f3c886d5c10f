namespace Skep.Bpf.Kernel;

internal static unsafe partial class BpfSyscall
{
    /// <summary>Has the kernel count runs and run time of all programs while the handle is open (<c>BPF_STATS_RUN_TIME</c>, kernel 5.8).</summary>
    internal static int EnableRunTimeStats(out KernelHandle handle)
    {
        var runTime = 0u;
        return Open(BpfCommand.EnableStats, ref runTime, out handle);
    }
}
