using Skep.Bpf.KernelViews;

namespace Skep.Bpf.Programming;

/// <summary>
/// BPF helpers that any kernel program may call. In the kernel each is one call instruction; in the process the twin answers.
/// Source of numbers and semantics: <c>include/uapi/linux/bpf.h</c>.
/// </summary>
public static unsafe class Helper
{
    /// <summary>Monotonic time in nanoseconds, not counting suspend (<c>bpf_ktime_get_ns</c>).</summary>
    [KernelHelper(5)]
    public static ulong KtimeGetNs() => KernelEnvironment.Current.KtimeNanoseconds;

    /// <summary>Monotonic time in nanoseconds at tick resolution, cheaper than <see cref="KtimeGetNs"/> (<c>bpf_ktime_get_coarse_ns</c>).</summary>
    [KernelHelper(160, Since = "5.11")]
    public static ulong KtimeGetCoarseNs() => KernelEnvironment.Current.KtimeNanoseconds;

    /// <summary>Ticks of the kernel since some time before it started, cheapest of all clocks (<c>bpf_jiffies64</c>). Each is <see cref="KernelTick.Nanoseconds"/>.</summary>
    [KernelHelper(118, Since = "5.6")]
    public static ulong Jiffies64() => KernelEnvironment.Current.KtimeNanoseconds / KernelTick.Nanoseconds;

    /// <summary>Pseudo-random 32-bit number (<c>bpf_get_prandom_u32</c>).</summary>
    [KernelHelper(7)]
    public static uint GetPrandomU32() => KernelEnvironment.Current.NextRandom();

    /// <summary>Number of the CPU the program runs on (<c>bpf_get_smp_processor_id</c>).</summary>
    [KernelHelper(8)]
    public static uint GetSmpProcessorId() => KernelEnvironment.Current.Cpu;

    /// <summary>Process id in the upper 32 bits, thread id in the lower (<c>bpf_get_current_pid_tgid</c>).</summary>
    [KernelHelper(14)]
    public static ulong GetCurrentPidTgid() => KernelEnvironment.Current.PidTgid;

    /// <summary>
    /// The running thread as a struct whose fields are read directly (<c>bpf_get_current_task_btf</c>). On kernels before 5.11 use <see cref="GetCurrentTask"/>.
    /// </summary>
    [KernelHelper(158, Since = "5.11")]
    public static TaskStruct* GetCurrentTaskBtf() => (TaskStruct*)KernelEnvironment.Current.CurrentTask;

    /// <summary>Address of the running thread's struct (<c>bpf_get_current_task</c>). Cast to <c>TaskStruct*</c>, each field is read by a helper.</summary>
    [KernelHelper(35)]
    public static ulong GetCurrentTask() => (ulong)KernelEnvironment.Current.CurrentTask;

    /// <summary>Copies the name of the running task, NUL-terminated (<c>bpf_get_current_comm</c>).</summary>
    /// <param name="buffer">Where to write.</param>
    /// <param name="size">Bytes at <paramref name="buffer"/>; a constant, at most 16 are used.</param>
    /// <returns>0, or a negative errno.</returns>
    [KernelHelper(16)]
    public static int GetCurrentComm(byte* buffer, uint size)
    {
        var target = new Span<byte>(buffer, (int)size);
        target.Clear();
        var comm = KernelEnvironment.Current.Comm;
        comm[..Math.Min(comm.Length, target.Length - 1)].CopyTo(target);
        return 0;
    }

    /// <summary>Reads kernel memory at an arbitrary address without faulting (<c>bpf_probe_read_kernel</c>).</summary>
    /// <param name="target">Where to write; on the stack or in a map value.</param>
    /// <param name="size">Bytes to read; bounded.</param>
    /// <param name="source">Kernel address.</param>
    /// <returns>0, or a negative errno (the target is then zeroed).</returns>
    [KernelHelper(113, Since = "5.5")]
    public static int ProbeReadKernel(void* target, uint size, void* source)
    {
        Buffer.MemoryCopy(source, target, size, size);
        return 0;
    }

    /// <summary>Reads memory of the running process without faulting (<c>bpf_probe_read_user</c>; in networking programs on newer kernels only).</summary>
    /// <param name="target">Where to write; on the stack or in a map value.</param>
    /// <param name="size">Bytes to read; bounded.</param>
    /// <param name="source">Address in the process.</param>
    /// <returns>0, or a negative errno (the target is then zeroed).</returns>
    [KernelHelper(112, Since = "5.5")]
    public static int ProbeReadUser(void* target, uint size, void* source)
    {
        Buffer.MemoryCopy(source, target, size, size);
        return 0;
    }

    /// <summary>Number of the control group of the running task, as its directory's inode (<c>bpf_get_current_cgroup_id</c>; in networking programs on newer kernels only).</summary>
    [KernelHelper(80)]
    public static ulong GetCurrentCgroupId() => KernelEnvironment.Current.CgroupId;

    /// <summary>Group id of the running task in the upper 32 bits, user id in the lower (<c>bpf_get_current_uid_gid</c>; in networking programs on newer kernels only).</summary>
    [KernelHelper(15)]
    public static ulong GetCurrentUidGid() => KernelEnvironment.Current.UidGid;
}
