namespace Skep.Bpf.Programming;

/// <summary>
/// What the kernel supplies to a running program, when the program runs in the process: clock, CPU, chance, task.
/// The twin enters one around each run; without one, helpers say so instead of guessing.
/// </summary>
public abstract class KernelEnvironment
{
    [ThreadStatic]
    private static KernelEnvironment? t_current;

    private int _tailCalls;

    /// <summary>The environment of the program that runs on this thread.</summary>
    /// <exception cref="InvalidOperationException">No program runs here under a twin.</exception>
    public static KernelEnvironment Current => t_current ?? throw new InvalidOperationException(
        "A kernel helper was called outside a twin. Run the program through Skep.Bpf.Twin, which supplies clock, CPU and maps.");

    /// <summary>What a helper throws that only the kernel can answer.</summary>
    /// <param name="helper">Its name in the kernel.</param>
    public static NotSupportedException NotInTwin(string helper) =>
        new($"The twin has no {helper}: it needs what only the kernel has. Put the call behind a virtual method, and override it for the twin.");

    /// <summary>Makes <paramref name="environment"/> current on this thread and returns the one before it, to be restored by the caller.</summary>
    public static KernelEnvironment? Exchange(KernelEnvironment? environment)
    {
        var previous = t_current;
        t_current = environment;
        if (environment is not null)
        {
            environment._tailCalls = 0;
            environment.Target = default;
            environment.ReturnValue = 0;
        }

        return previous;
    }

    /// <summary>Counts a tail call of the run in progress; false when it has made <paramref name="most"/> already.</summary>
    public bool TryTailCall(int most) => _tailCalls < most && ++_tailCalls > 0;

    /// <summary>Monotonic time in nanoseconds (<c>bpf_ktime_get_ns</c>).</summary>
    public abstract ulong KtimeNanoseconds { get; }

    /// <summary>Number of the CPU the program runs on.</summary>
    public abstract uint Cpu { get; }

    /// <summary>A pseudo-random number, all 32 bits.</summary>
    public abstract uint NextRandom();

    /// <summary>Process id in the upper 32 bits, thread id in the lower.</summary>
    public abstract ulong PidTgid { get; }

    /// <summary>Address of the running task's <see cref="KernelViews.TaskStruct"/>, a view over plain memory.</summary>
    /// <exception cref="NotSupportedException">The environment has none.</exception>
    public virtual nint CurrentTask => throw new NotSupportedException("This twin has no task struct; give it one in TwinEnvironment.TaskAddress.");

    /// <summary>Addresses of <see cref="KernelViews.TaskStruct"/>s, the tasks of the host: views over plain memory.</summary>
    /// <exception cref="NotSupportedException">The environment has none.</exception>
    public virtual IReadOnlyList<nint> Tasks => throw NotInTwin("bpf_iter_task_new");

    /// <summary>Addresses of <see cref="KernelViews.Cgroup"/>s, the control groups of the host: views over plain memory.</summary>
    /// <exception cref="NotSupportedException">The environment has none.</exception>
    public virtual IReadOnlyList<nint> Cgroups => throw NotInTwin("bpf_iter_css_new");

    /// <summary>Name of the running task, at most 15 bytes and a NUL, as in <c>/proc/PID/comm</c>.</summary>
    public abstract ReadOnlySpan<byte> Comm { get; }

    /// <summary>Timers and work queues.</summary>
    /// <exception cref="NotSupportedException">The environment has none.</exception>
    public virtual KernelTimers Timers => throw NotInTwin("bpf_timer_init");

    /// <summary>A record of a ring buffer that was reserved goes to the reader, or is thrown away.</summary>
    /// <param name="record">Its first byte.</param>
    /// <param name="keep">Whether the reader sees it.</param>
    public virtual unsafe void GiveRecord(void* record, bool keep) => throw NotInTwin("bpf_ringbuf_submit_dynptr");

    /// <summary>Number of the control group of the running task.</summary>
    public virtual ulong CgroupId => 1;

    /// <summary>Group id in the upper 32 bits, user id in the lower.</summary>
    public virtual ulong UidGid => 0;

    /// <summary>Where the program that runs would have a packet sent, by the last redirect helper it called.</summary>
    public PacketTarget Target { get; internal set; }

    /// <summary>The error with which the call fails that the program refuses; 0 when it did not say.</summary>
    public int ReturnValue { get; internal set; }

    /// <summary>Answers <c>bpf_skc_lookup_tcp</c>: the socket, or null.</summary>
    /// <param name="tuple">A <see cref="SocketTuple4"/> or <see cref="SocketTuple6"/>.</param>
    /// <param name="size">Its size.</param>
    /// <param name="network">Number of a network namespace; all ones for the program's own.</param>
    /// <param name="flags">0.</param>
    public virtual unsafe SocketContext* FindTcp(void* tuple, uint size, ulong network, ulong flags) => throw NotInTwin("bpf_skc_lookup_tcp");

    /// <summary>Answers <c>bpf_fib_lookup</c>; there are no routes unless the environment has some.</summary>
    /// <param name="route">The question, and afterwards the answer.</param>
    /// <param name="flags">How to look.</param>
    public virtual FibResult FindRoute(ref FibRoute route, FibFlags flags) => FibResult.NotForwarded;
}
