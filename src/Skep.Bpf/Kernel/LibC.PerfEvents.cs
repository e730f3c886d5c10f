using System.Runtime.InteropServices;

namespace Skep.Bpf.Kernel;

internal static unsafe partial class LibC
{
    internal const nuint PERF_EVENT_IOC_ENABLE = 0x2400, PERF_EVENT_IOC_DISABLE = 0x2401;

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int ioctl(int descriptor, nuint request, nuint argument);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    internal static partial nint perf_event_open(nint number, PerfEventAttributes* attributes, nint pid, nint cpu, nint group, nint flags);

    /// <summary>Opens a file for reading as a descriptor.</summary>
    internal static KernelHandle OpenDescriptor(string path, int flags, string what)
    {
        var descriptor = open(path, O_RDONLY | O_CLOEXEC | flags);
        return descriptor >= 0 ? new KernelHandle(descriptor) : throw new BpfException($"Opening {what} {path} failed", Marshal.GetLastPInvokeError());
    }
}

/// <summary>
/// Beginning of <c>struct perf_event_attr</c>, 112 bytes (<c>PERF_ATTR_SIZE_VER5</c>).
/// <code>
///  0 type:4   4 size:4   8 config:8   16 sample_period or sample_freq:8   24 sample_type:8   32 read_format:8
/// 40 flags:8 (bit 0 disabled, 10 freq)   48 wakeup_events:4   52 bp_type:4   56 config1:8   64 config2:8   72 to 112 not used here
/// </code>
/// </summary>
[StructLayout(LayoutKind.Explicit, Size = 112)]
internal struct PerfEventAttributes
{
    internal const ulong Disabled = 1, Frequency = 1 << 10;

    [FieldOffset(0)] internal uint Type;
    [FieldOffset(4)] internal uint Size;
    [FieldOffset(8)] internal ulong Config;
    [FieldOffset(16)] internal ulong SamplePeriod;
    [FieldOffset(40)] internal ulong Flags;
    [FieldOffset(48)] internal uint WakeupEvents;
    [FieldOffset(56)] internal ulong Config1;
    [FieldOffset(64)] internal ulong Config2;
}
