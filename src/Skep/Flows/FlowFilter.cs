using Skep.Packets;

namespace Skep.Flows;

/// <summary>Which flows are wanted; conditions that are null hold for every flow.</summary>
public sealed record FlowFilter
{
    /// <summary>Either side lies in the block.</summary>
    public IpPrefix? Address { get; init; }

    /// <summary>The side that began lies in the block.</summary>
    public IpPrefix? From { get; init; }

    /// <summary>The side that was asked lies in the block.</summary>
    public IpPrefix? To { get; init; }

    /// <summary>Either side uses the port.</summary>
    public ushort? Port { get; init; }

    /// <summary>The side that was asked uses the port.</summary>
    public ushort? ToPort { get; init; }

    /// <summary>Protocol.</summary>
    public IpProtocol? Protocol { get; init; }

    /// <summary>Interface index.</summary>
    public uint? Interface { get; init; }

    /// <summary>State.</summary>
    public FlowState? State { get; init; }

    /// <summary>Something was dropped.</summary>
    public bool? Dropped { get; init; }

    /// <summary>At least as many bytes in both directions.</summary>
    public ulong? MinimumBytes { get; init; }

    /// <summary>A smoothed round trip of at least this.</summary>
    public TimeSpan? MinimumRtt { get; init; }

    /// <summary>At least as many retransmits.</summary>
    public ulong? MinimumRetransmits { get; init; }

    /// <summary>Whether the flow fulfils every condition.</summary>
    public bool Matches(Flow flow)
    {
        ArgumentNullException.ThrowIfNull(flow);
        var (from, to, toPort) = flow.IsOutgoing ? (flow.Local, flow.Remote, flow.RemotePort) : (flow.Remote, flow.Local, flow.LocalPort);
        return (Address is not { } address || address.Contains(from) || address.Contains(to))
            && (From is not { } source || source.Contains(from))
            && (To is not { } target || target.Contains(to))
            && (Port is not { } port || flow.LocalPort == port || flow.RemotePort == port)
            && (ToPort is null || ToPort == toPort)
            && (Protocol is null || Protocol == flow.Protocol)
            && (Interface is null || Interface == flow.Interface)
            && (State is null || State == flow.State)
            && (Dropped is null || Dropped == !flow.Drops.IsEmpty)
            && (MinimumBytes is null || flow.Bytes >= MinimumBytes)
            && (MinimumRtt is null || flow.Rtt >= MinimumRtt)
            && (MinimumRetransmits is null || flow.Retransmits >= MinimumRetransmits);
    }
}
