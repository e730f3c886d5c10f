namespace Skep.Bpf.Programming;

/// <summary>
/// A program on a tracepoint with stable fields (kernel 4.7). <typeparamref name="TEvent"/> is laid out as its <c>format</c> file says, the
/// eight common bytes included; <see cref="Links.TracepointFormat.Mismatches"/> checks it.
/// </summary>
/// <typeparam name="TEvent">The event, a struct with the fields of the tracepoint.</typeparam>
public abstract class TracepointProgram<TEvent> : EventProgram<TEvent>
    where TEvent : unmanaged
{
    /// <summary>Group and name of the tracepoint, for example <c>sched/sched_switch</c>.</summary>
    public abstract string Tracepoint { get; }

    /// <inheritdoc/>
    public sealed override string Section => "tp/" + Tracepoint;
}

/// <summary>
/// A program on a raw tracepoint whose arguments are plain numbers (<c>raw_tp/NAME</c>, kernel 4.17), or on one that lets programs write to its
/// first argument (<c>raw_tp.w/NAME</c>, kernel 5.2).
/// </summary>
public abstract class UntypedTracepointProgram : EventProgram<RawTracepointContext>;

/// <summary>A program that runs on each sample of a perf event (kernel 4.9).</summary>
public abstract class PerfEventProgram : EventProgram<PerfEventContext>
{
    /// <inheritdoc/>
    public sealed override string Section => "perf_event";
}

/// <summary>A program at a function of processes (kernel 4.1; <c>uprobe.multi</c> 6.6).</summary>
public abstract class UprobeProgram : EventProgram<RegistersContext>
{
    /// <inheritdoc/>
    public override string Section => "uprobe";
}

/// <summary>A program at functions of the kernel: <c>kprobe</c>, <c>kretprobe</c> (4.1), <c>kprobe.multi</c> (5.18).</summary>
public abstract class KprobeProgram : EventProgram<RegistersContext>;

/// <summary>A program at the entry (<c>fentry/NAME</c>) or exit (<c>fexit/NAME</c>) of a kernel function (kernel 5.5). After the arguments, an exit has the result.</summary>
public abstract class FunctionProgram : EventProgram<RawTracepointContext>;

/// <summary>A program that may answer in the place of a kernel function (<c>fmod_ret/NAME</c>, kernel 5.7). 0 lets the function run.</summary>
public abstract class ModifyReturnProgram : BpfProgram<RawTracepointContext, int>;

/// <summary>A program on a hook of the security modules (<c>lsm/NAME</c>, kernel 5.7). 0 allows, a negative errno refuses.</summary>
public abstract class LsmProgram : BpfProgram<RawTracepointContext, int>;

/// <summary>A program that runs when it is called (kernel 5.14), with the caller's struct as context.</summary>
/// <typeparam name="TArguments">What the caller gives and gets back.</typeparam>
public abstract class SyscallProgram<TArguments> : BpfProgram<TArguments, int>
    where TArguments : unmanaged
{
    /// <inheritdoc/>
    public sealed override string Section => "syscall";
}
