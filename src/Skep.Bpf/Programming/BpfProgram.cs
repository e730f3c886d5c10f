namespace Skep.Bpf.Programming;

/// <summary>
/// A kernel program: a live object whose <c>Run</c> method becomes the program.
/// Compiling freezes it: values reachable through <c>readonly</c> fields are constants of the code, maps in fields are the maps.
/// </summary>
public abstract class BpfProgram
{
    /// <summary>Name in the kernel; the first 15 characters are kept. The class name unless overridden.</summary>
    public virtual string Name => GetType().Name;

    /// <summary>Licence the kernel checks before it lets a program call GPL-only helpers.</summary>
    public virtual string License => "GPL";

    /// <summary>
    /// What the program is and where it goes: a section name by libbpf's convention, such as <c>xdp</c> or <c>cgroup/connect4</c>.
    /// The names of each kind are in <see cref="Programs.ProgramKinds"/>.
    /// </summary>
    public abstract string Section { get; }
}

/// <summary>A program that decides something.</summary>
/// <typeparam name="TContext">What it sees.</typeparam>
/// <typeparam name="TVerdict">What it decides.</typeparam>
public abstract class BpfProgram<TContext, TVerdict> : BpfProgram
{
    /// <summary>Decides about one packet, call or event.</summary>
    public abstract TVerdict Run(ref TContext context);
}

/// <summary>A program that only watches.</summary>
/// <typeparam name="TContext">What it sees.</typeparam>
public abstract class EventProgram<TContext> : BpfProgram
{
    /// <summary>Handles one event.</summary>
    public abstract void Run(ref TContext context);
}

/// <summary>A program at the earliest hook of an interface, before a socket buffer exists (kernel 4.8; by link 5.9).</summary>
public abstract class XdpProgram : BpfProgram<XdpContext, XdpAction>
{
    /// <inheritdoc/>
    public override string Section => "xdp";
}

/// <summary>A program on the traffic control hook of an interface, ingress or egress (clsact 4.5; tcx links 6.6).</summary>
public abstract class TcProgram : BpfProgram<TcContext, TcAction>
{
    /// <inheritdoc/>
    public override string Section => "tc";
}

/// <summary>A program on a raw tracepoint with typed arguments (<c>tp_btf</c>, kernel 5.5).</summary>
public abstract class RawTracepointProgram : EventProgram<RawTracepointContext>
{
    /// <summary>Name of the tracepoint without prefix, for example <c>kfree_skb</c>.</summary>
    public abstract string Tracepoint { get; }

    /// <inheritdoc/>
    public sealed override string Section => "tp_btf/" + Tracepoint;
}

/// <summary>Verdict of an XDP program (<c>enum xdp_action</c>).</summary>
public enum XdpAction
{
    /// <summary>Program error: dropped, and the <c>xdp_exception</c> tracepoint fires.</summary>
    Aborted = 0,
    /// <summary>Dropped without a trace.</summary>
    Drop = 1,
    /// <summary>On to the network stack.</summary>
    Pass = 2,
    /// <summary>Out of the interface it came in by.</summary>
    Tx = 3,
    /// <summary>To the target set by a redirect helper.</summary>
    Redirect = 4,
}

/// <summary>Verdict of a TC program (<c>TC_ACT_*</c>, <c>enum tcx_action_base</c>).</summary>
public enum TcAction
{
    /// <summary>No verdict: the next program or filter decides (<c>TCX_NEXT</c>).</summary>
    Unspec = -1,
    /// <summary>Accepted.</summary>
    Ok = 0,
    /// <summary>Dropped.</summary>
    Shot = 2,
    /// <summary>To the target set by a redirect helper.</summary>
    Redirect = 7,
}
