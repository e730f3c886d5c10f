namespace Skep.Bpf.Programming;

/// <summary>
/// A sample of a perf event (<c>struct bpf_perf_event_data</c> of x86-64).
/// In the kernel this is the context pointer; in the process its fields are plain memory.
/// </summary>
[KernelContext("bpf_perf_event_data")]
public struct PerfEventContext
{
    /// <summary>Address of the instruction that was interrupted (rip).</summary>
    public ulong InstructionPointer { [ContextField(128, 8)] get; init; }

    /// <summary>Stack pointer (rsp).</summary>
    public ulong StackPointer { [ContextField(152, 8)] get; init; }

    /// <summary>Frame pointer (rbp).</summary>
    public ulong FramePointer { [ContextField(32, 8)] get; init; }

    /// <summary>Code segment: its lowest two bits are 0 when the kernel was interrupted, 3 when a process was.</summary>
    public ulong CodeSegment { [ContextField(136, 8)] get; init; }

    /// <summary>Events since the sample before.</summary>
    public ulong SamplePeriod { [ContextField(168, 8)] get; init; }

    /// <summary>Address of the data, for events that have one.</summary>
    public ulong Address { [ContextField(176, 8)] get; init; }
}
