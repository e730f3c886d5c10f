using Skep.Packets;

namespace Skep.Flows;

/// <summary>
/// One direction of a flow. Layout: packets 8, bytes 8, pending time 8, pending timestamp 4, next sequence 4, smoothed RTT 4, minimum RTT 4,
/// handshake RTT 4, samples 4, retransmits 4, flags 4.
/// </summary>
public struct FlowDirection
{
    /// <summary>Packets as on the wire: a super-packet counts its segments.</summary>
    public ulong Packets;

    /// <summary>Bytes as on the wire, headers repeated in every segment, Ethernet included.</summary>
    public ulong Bytes;

    /// <summary>When the packet was seen whose answer is awaited, in monotonic nanoseconds; 0 for none.</summary>
    public ulong PendingSince;

    /// <summary>Timestamp value of that packet; no value is measured twice.</summary>
    public uint PendingTimestamp;

    /// <summary>Sequence number expected next; valid once <see cref="FlowFlags.Sequenced"/> is set.</summary>
    public uint NextSequence;

    /// <summary>Smoothed time from here to the receiver of this direction and back, in nanoseconds (gain 1/8, RFC 6298); 0 when unknown.</summary>
    public uint SmoothedRtt;

    /// <summary>Shortest such time; 0 when unknown.</summary>
    public uint MinimumRtt;

    /// <summary>That time in the handshake; 0 when unknown.</summary>
    public uint HandshakeRtt;

    /// <summary>Number of measurements.</summary>
    public uint RttSamples;

    /// <summary>Packets with data older than what was sent before: retransmits, or reordered on the way here.</summary>
    public uint Retransmits;

    /// <summary><see cref="TcpFlags"/> seen in the lower byte, <see cref="FlowFlags"/> above.</summary>
    public uint Flags;
}

/// <summary>Bits above the TCP flags in <see cref="FlowDirection.Flags"/>.</summary>
[Flags]
public enum FlowFlags : uint
{
    /// <summary>None.</summary>
    None = 0,
    /// <summary><see cref="FlowDirection.NextSequence"/> is valid.</summary>
    Sequenced = 0x100,
    /// <summary>What is pending is a SYN.</summary>
    HandshakePending = 0x200,
}

/// <summary>How a flow ended.</summary>
public enum FlowEnd : uint
{
    /// <summary>Not yet.</summary>
    None,
    /// <summary>Both sides sent FIN.</summary>
    Finished,
    /// <summary>One side sent RST.</summary>
    Reset,
    /// <summary>Silent for too long; found by the agent.</summary>
    Idle,
}

/// <summary>
/// A flow in the table and in end events. Layout: key 48, first seen 8, last seen 8, received 56, sent 56, opened locally 4, end 4.
/// </summary>
public struct FlowEntry
{
    /// <summary>The key again, so that an event needs nothing else.</summary>
    public FlowKey Key;

    /// <summary>Monotonic nanoseconds of the first packet.</summary>
    public ulong FirstSeen;

    /// <summary>Monotonic nanoseconds of the latest packet.</summary>
    public ulong LastSeen;

    /// <summary>From the remote to the local side.</summary>
    public FlowDirection Received;

    /// <summary>From the local to the remote side.</summary>
    public FlowDirection Sent;

    /// <summary>1 when the first packet went from the local to the remote side.</summary>
    public uint OpenedLocally;

    /// <summary>How it ended.</summary>
    public FlowEnd End;
}

/// <summary>Index of the counters of the flow programs.</summary>
public enum FlowCounter : uint
{
    /// <summary>Flows entered into the table; those that are neither in it nor reported as ended were evicted.</summary>
    Created,
    /// <summary>Packets that are not IP.</summary>
    NotIp,
    /// <summary>Packets whose headers are truncated or contradictory.</summary>
    Malformed,
    /// <summary>Packets that found no room in the table.</summary>
    TableFull,
    /// <summary>End events that found no room in the ring.</summary>
    LostEvents,
}
