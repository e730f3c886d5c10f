using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Skep.Bpf.Kernel;

/// <summary>Opens the events that programs write with <c>bpf_perf_event_output</c>.</summary>
internal static unsafe partial class PerfOutput
{
    private const nint CloseOnExec = 8;

    private static readonly nint s_number = RuntimeInformation.ProcessArchitecture switch
    {
        Architecture.X64 => 298,
        Architecture.Arm64 or Architecture.RiscV64 or Architecture.LoongArch64 => 241,
        Architecture.Arm => 364,
        Architecture.S390x => 331,
        Architecture.Ppc64le => 319,
        var other => throw new PlatformNotSupportedException($"The number of perf_event_open(2) on {other} is not known."),
    };

    /// <summary>The event of one CPU: its descriptor, or a negative errno (ENODEV when the CPU is off).</summary>
    internal static int Open(int cpu)
    {
        var attributes = PerfOutputAttributes.BpfOutput;
        var descriptor = (int)perf_event_open(s_number, (nint)(&attributes), -1, cpu, -1, CloseOnExec);
        return descriptor >= 0 ? descriptor : -Marshal.GetLastPInvokeError();
    }

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint perf_event_open(nint number, nint attributes, nint process, nint cpu, nint group, nint flags);
}

/// <summary>
/// Beginning of <c>struct perf_event_attr</c>, 64 bytes (<c>PERF_ATTR_SIZE_VER0</c>).
/// <code>
///  0 type:4   4 size:4   8 config:8   16 sample_period:8   24 sample_type:8   32 read_format:8   40 flags:8
/// 48 wakeup_events:4   52 bp_type:4   56 config1:8
/// </code>
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PerfOutputAttributes
{
    private const uint SoftwareEvents = 1;
    private const ulong BpfOutputEvent = 10, RawSamples = 1 << 10;

    internal uint Type;
    internal uint Size;
    internal ulong Config;
    internal ulong SamplePeriod;
    internal ulong SampleType;
    internal ulong ReadFormat;
    internal ulong Flags;
    internal uint WakeupEvents;
    internal uint BreakpointType;
    internal ulong Config1;

    /// <summary>Events that programs write (<c>PERF_COUNT_SW_BPF_OUTPUT</c>), and a wake-up for each.</summary>
    internal static PerfOutputAttributes BpfOutput => new()
    {
        Type = SoftwareEvents,
        Size = (uint)Unsafe.SizeOf<PerfOutputAttributes>(),
        Config = BpfOutputEvent,
        SamplePeriod = 1,
        SampleType = RawSamples,
        WakeupEvents = 1,
    };
}
