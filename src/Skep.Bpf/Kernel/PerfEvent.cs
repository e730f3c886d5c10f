using System.Globalization;
using System.Runtime.InteropServices;

namespace Skep.Bpf.Kernel;

/// <summary>perf_event_open(2), and the event sources that the kernel lists.</summary>
internal static unsafe class PerfEvent
{
    internal const uint Software = 1, Tracepoint = 2;
    private const int CloseOnExec = 8;

    private static readonly nint s_number = RuntimeInformation.ProcessArchitecture switch
    {
        Architecture.X64 => 298,
        Architecture.Arm64 or Architecture.RiscV64 or Architecture.LoongArch64 => 241,
        Architecture.Arm => 364,
        Architecture.S390x => 331,
        Architecture.Ppc64le => 319,
        var other => throw new PlatformNotSupportedException($"The number of perf_event_open(2) on {other} is not known."),
    };

    /// <summary>Opens an event: of one process on any CPU (-1), or of any process (-1) on one CPU. Switched on by <see cref="Enable"/>.</summary>
    internal static KernelHandle Open(ref PerfEventAttributes attributes, int pid, int cpu, string what)
    {
        attributes.Size = (uint)sizeof(PerfEventAttributes);
        fixed (PerfEventAttributes* pointer = &attributes)
        {
            var descriptor = (int)LibC.perf_event_open(s_number, pointer, pid, cpu, -1, CloseOnExec);
            if (descriptor >= 0)
            {
                return new KernelHandle(descriptor);
            }

            var error = Marshal.GetLastPInvokeError();
            var hint = error is Errno.AccessDenied or Errno.Permission ? "; root or CAP_PERFMON is needed" : "";
            throw new BpfException($"Opening the perf event of {what} failed{hint}", error);
        }
    }

    internal static int Enable(KernelHandle handle)
    {
        using var lease = handle.Borrow();
        return LibC.ioctl(lease.Descriptor, LibC.PERF_EVENT_IOC_ENABLE, 0) < 0 ? -Marshal.GetLastPInvokeError() : 0;
    }

    /// <summary>Number of an event source such as <c>uprobe</c>.</summary>
    /// <exception cref="NotSupportedException">The kernel has no such source.</exception>
    internal static uint SourceType(string name)
    {
        var path = $"/sys/bus/event_source/devices/{name}/type";
        return File.Exists(path)
            ? uint.Parse(File.ReadAllText(path), CultureInfo.InvariantCulture)
            : throw new NotSupportedException(
                $"This kernel has no {name}s: {path} does not exist (CONFIG_{name.ToUpperInvariant()}S, kernel 4.17, with sysfs mounted).");
    }

    /// <summary>Which bit of the configuration makes an event of the source a return probe (<c>format/retprobe</c> says <c>config:0</c>).</summary>
    internal static ulong ReturnProbe => 1;

    /// <summary>Where the address of a counter that switches a probe on stands in the configuration of uprobes (<c>format/ref_ctr_offset</c>: <c>config:32-63</c>).</summary>
    internal static int ReferenceCounterShift => 32;
}
