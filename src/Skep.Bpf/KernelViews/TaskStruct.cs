using System.Runtime.CompilerServices;
using Skep.Bpf.Programming;

namespace Skep.Bpf.KernelViews;

/// <summary>A thread (<c>struct task_struct</c>, <c>include/linux/sched.h</c>).</summary>
[KernelStruct("task_struct")]
public unsafe struct TaskStruct
{
    /// <summary>Number of the thread.</summary>
    [KernelField("pid")]
    public int ThreadId;

    /// <summary>Number of the process.</summary>
    [KernelField("tgid")]
    public int ProcessId;

    /// <summary>Name, NUL-terminated.</summary>
    [KernelField("comm")]
    public TaskName Name;

    /// <summary>What the thread is, as bits (<c>PF_*</c>).</summary>
    public uint Flags;

    /// <summary>The process that started it.</summary>
    [KernelField("real_parent")]
    public TaskStruct* Parent;

    /// <summary>First thread of the process.</summary>
    public TaskStruct* GroupLeader;

    /// <summary>When it began, in nanoseconds of the monotonic clock.</summary>
    public ulong StartTime;
}

/// <summary>Name of a thread, 16 bytes with the NUL (<c>TASK_COMM_LEN</c>).</summary>
[InlineArray(16)]
public struct TaskName
{
    private byte _first;
}
