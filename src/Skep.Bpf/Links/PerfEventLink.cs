using Skep.Bpf.Kernel;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Links;

/// <summary>What a perf event samples by (<c>PERF_COUNT_SW_*</c>).</summary>
public enum SampleClock : ulong
{
    /// <summary>Time of the CPU, also idle.</summary>
    Cpu = 0,
    /// <summary>Time of the task.</summary>
    Task = 1,
    /// <summary>Page faults.</summary>
    PageFaults = 2,
    /// <summary>Switches from one task to another.</summary>
    ContextSwitches = 3,
}

/// <summary>A program on a perf event: samples, tracepoints, uprobes, kprobes (kernel 5.15).</summary>
public sealed class PerfEventLink : Link
{
    internal PerfEventLink(KernelLink link)
        : base(link)
    {
    }

    /// <summary>Runs a program on samples of one CPU, or of one process.</summary>
    /// <param name="program">A perf event program.</param>
    /// <param name="frequency">Samples a second; the kernel's limit is in <c>/proc/sys/kernel/perf_event_max_sample_rate</c>.</param>
    /// <param name="cpu">The CPU; -1 for all on which the process runs.</param>
    /// <param name="processId">The process; -1 for all on the CPU.</param>
    /// <param name="clock">What is sampled by.</param>
    /// <exception cref="BpfException">EINVAL when both or none are -1; EACCES; ESRCH.</exception>
    public static PerfEventLink AttachSampling(
        LoadedProgram program, int frequency, int cpu = -1, int processId = -1, SampleClock clock = SampleClock.Cpu)
    {
        ArgumentNullException.ThrowIfNull(program);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(frequency);
        var attributes = new PerfEventAttributes
        {
            Type = PerfEvent.Software,
            Config = (ulong)clock,
            SamplePeriod = (ulong)frequency,
            Flags = PerfEventAttributes.Disabled | PerfEventAttributes.Frequency,
        };
        return Attach(program, ref attributes, processId, cpu, 0, $"{clock} samples");
    }

    /// <summary>Runs a program on every n-th event of one CPU, or of one process.</summary>
    /// <param name="program">A perf event program.</param>
    /// <param name="period">Every how many events.</param>
    /// <param name="clock">What is counted.</param>
    /// <param name="cpu">The CPU; -1 for all on which the process runs.</param>
    /// <param name="processId">The process; -1 for all on the CPU.</param>
    /// <exception cref="BpfException">EINVAL when both or none are -1; EACCES; ESRCH.</exception>
    public static PerfEventLink AttachCounting(LoadedProgram program, ulong period, SampleClock clock, int cpu = -1, int processId = -1)
    {
        ArgumentNullException.ThrowIfNull(program);
        ArgumentOutOfRangeException.ThrowIfZero(period);
        var attributes = new PerfEventAttributes
        {
            Type = PerfEvent.Software, Config = (ulong)clock, SamplePeriod = period, Flags = PerfEventAttributes.Disabled,
        };
        return Attach(program, ref attributes, processId, cpu, 0, $"every {period} {clock}");
    }

    internal static PerfEventLink Attach(LoadedProgram program, ref PerfEventAttributes attributes, int processId, int cpu, ulong cookie, string what)
    {
        using var handle = PerfEvent.Open(ref attributes, processId, cpu, what);
        using var lease = handle.Borrow();
        var create = new LinkCreateAttributes { Target = lease.Descriptor, AttachType = AttachType.PerfEvent, PerfCookie = cookie };
        BpfException.ThrowIfFailed(KernelLink.Create(program, ref create, out var link), $"Attaching program '{program.Name}' to {what} failed");
        try
        {
            BpfException.ThrowIfFailed(PerfEvent.Enable(handle), $"Switching on the perf event of {what} failed");
            return new PerfEventLink(link);
        }
        catch
        {
            link.Close();
            throw;
        }
    }
}
