namespace Skep.Flows;

/// <summary>What this host's TCP sent again, as the kernel counted it at one moment.</summary>
public sealed class RetransmitCounts
{
    private readonly Dictionary<Conversation, ulong> _counts = [];

    internal RetransmitCounts(KernelEventMaps? maps) =>
        maps?.Totals.ReadAll((key, entry) => _counts[Conversation.Of(in key)] = entry.Count);

    /// <summary>Segments of the local side, as its kernel counts them.</summary>
    public ulong Of(in FlowRecord flow)
    {
        if (_counts.Count == 0)
        {
            return 0;
        }

        var (first, second) = Conversation.Of(in flow);
        return _counts.GetValueOrDefault(first) + (second is { } other ? _counts.GetValueOrDefault(other) : 0);
    }

    /// <summary>Segments of both sides: the kernel's count where it is the sender's, otherwise what the wire showed.</summary>
    public ulong Total(in FlowRecord flow) => Math.Max(Of(in flow), flow.Resent.Sent) + flow.Resent.Received;
}
