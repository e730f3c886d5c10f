using Skep.Packets;

namespace Skep.Flows;

/// <summary>What the table knows of a flow: its entry, and what the balancer does to it. A balanced flow is one record, under the service's address.</summary>
/// <param name="entry">Both directions.</param>
/// <param name="translation">What the balancer does; null for what is not balanced.</param>
/// <param name="isTold">Whether an event told of its end.</param>
public readonly struct FlowRecord(in FlowEntry entry, FlowTranslation? translation, bool isTold)
{
    private readonly FlowEntry _entry = entry;

    /// <summary>Both directions.</summary>
    public FlowEntry Entry => _entry;

    /// <summary>What the balancer does; null for what is not balanced.</summary>
    public FlowTranslation? Translation { get; } = translation;

    /// <summary>Whether an event told of its end, so that sweeping it away is no news.</summary>
    public bool IsTold { get; } = isTold;

    /// <summary>The name in the table; of a balanced flow that of the half with the service's address.</summary>
    public FlowKey Key => _entry.Key;

    /// <summary>How it ended, or that it did not.</summary>
    public FlowEnd End => _entry.End;

    /// <summary>Monotonic nanoseconds of the latest packet.</summary>
    public ulong LastSeen => _entry.LastSeen;

    /// <summary>Bytes of both directions.</summary>
    public ulong Bytes => _entry.Sent.Bytes + _entry.Received.Bytes;

    /// <summary>Packets of both directions.</summary>
    public ulong Packets => _entry.Sent.Packets + _entry.Received.Packets;

    /// <summary>Smoothed round trip in nanoseconds to the other side of the network or, when that is not known, to this one; 0 when neither is.</summary>
    public uint Rtt => _entry.Sent.SmoothedRtt != 0 ? _entry.Sent.SmoothedRtt : _entry.Received.SmoothedRtt;

    /// <summary>Who began.</summary>
    public IpAddress From => Flow.OpenedLocally(in _entry) ? _entry.Key.Local : _entry.Key.Remote;

    /// <summary>Who was asked.</summary>
    public IpAddress To => Flow.OpenedLocally(in _entry) ? _entry.Key.Remote : _entry.Key.Local;

    /// <summary>Packets with data that was sent before, as the wire showed them, from the local and from the remote side.</summary>
    public (uint Sent, uint Received) Resent => (_entry.Sent.Retransmits, _entry.Received.Retransmits);
}

/// <summary>Looks at a flow while the table is walked; the record is valid for as long as the call takes.</summary>
public delegate void FlowVisitor(in FlowRecord flow);
