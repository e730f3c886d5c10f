namespace Skep.Engine;

/// <summary>Kinds of places where programs run.</summary>
public enum HookKind
{
    /// <summary>Earliest point of reception of an interface.</summary>
    Xdp,
    /// <summary>Traffic control, towards the host, before everything else there: where the edge runs without XDP.</summary>
    TcEdge,
    /// <summary>Traffic control, out of the host, before everything else there: where the edge mends what the host itself says about rewritten packets.</summary>
    TcEdgeOut,
    /// <summary>Traffic control, towards the host.</summary>
    TcIngress,
    /// <summary>Traffic control, out of the host.</summary>
    TcEgress,
    /// <summary>An event of the kernel.</summary>
    RawTracepoint,
    /// <summary>A call on a socket in a control group.</summary>
    Cgroup,
}

/// <summary>A place where one program of Skep runs. That of an interface is the same place when the interface is renamed: its number tells.</summary>
/// <param name="Kind">Kind.</param>
/// <param name="Target">Name of the interface or of the tracepoint; for a control group the hook, a colon and the directory.</param>
/// <param name="InterfaceIndex">Number of the interface, which tells it from a later one of the same name; 0 for tracepoints and control groups.</param>
public readonly record struct Hook(HookKind Kind, string Target, int InterfaceIndex = 0)
{
    /// <summary>Whether it is where the edge of an interface runs.</summary>
    public bool IsEdge => Kind is HookKind.Xdp or HookKind.TcEdge or HookKind.TcEdgeOut;

    /// <summary>The kind as people write it.</summary>
    public string Word => Kind switch
    {
        HookKind.Xdp => "xdp",
        HookKind.TcEdge => "tcx-edge",
        HookKind.TcEdgeOut => "tcx-edge-out",
        HookKind.TcIngress => "tcx-ingress",
        HookKind.TcEgress => "tcx-egress",
        HookKind.Cgroup => "cgroup",
        _ => "tracepoint",
    };

    /// <inheritdoc/>
    public bool Equals(Hook other) => Kind == other.Kind && InterfaceIndex == other.InterfaceIndex && (InterfaceIndex != 0 || Target == other.Target);

    /// <inheritdoc/>
    public override int GetHashCode() => InterfaceIndex != 0 ? HashCode.Combine(Kind, InterfaceIndex) : HashCode.Combine(Kind, Target);

    /// <summary><c>xdp/eth0</c>, <c>tcx-ingress/eth0</c>, <c>tracepoint/kfree_skb</c>.</summary>
    public override string ToString() => $"{Word}/{Target}";
}
