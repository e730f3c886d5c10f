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
}

/// <summary>A program at the earliest hook of an interface, before a socket buffer exists (kernel 4.8; by link 5.9).</summary>
public abstract class XdpProgram : BpfProgram
{
    /// <summary>Decides about one packet.</summary>
    public abstract XdpAction Run(ref XdpContext context);
}

/// <summary>A program on the traffic control hook of an interface, ingress or egress (clsact 4.5; tcx links 6.6).</summary>
public abstract class TcProgram : BpfProgram
{
    /// <summary>Decides about one packet.</summary>
    public abstract TcAction Run(ref TcContext context);
}

/// <summary>A program on a raw tracepoint with typed arguments (<c>tp_btf</c>, kernel 5.5).</summary>
public abstract class RawTracepointProgram : BpfProgram
{
    /// <summary>Name of the tracepoint without prefix, for example <c>kfree_skb</c>.</summary>
    public abstract string Tracepoint { get; }

    /// <summary>Handles one event.</summary>
    public abstract void Run(ref RawTracepointContext context);
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
