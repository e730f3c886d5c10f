using Skep.Packets;

namespace Skep.Flows;

/// <summary>
/// What a kernel event is about. Layout: source 16, destination 16, source port 2, destination port 2, protocol 4, reason 4, interface 4.
/// </summary>
public struct KernelEventKey
{
    /// <summary>Sender of the packet, or the local side of the socket.</summary>
    public IpAddress Source;

    /// <summary>Receiver of the packet, or the remote side of the socket.</summary>
    public IpAddress Destination;

    /// <summary>Source port in the lower, destination port in the upper half, both in network order.</summary>
    public uint RawPorts;

    /// <summary>Protocol number.</summary>
    public uint Protocol;

    /// <summary>Drop reason of the running kernel (<c>enum skb_drop_reason</c>); 0 for other events.</summary>
    public uint Reason;

    /// <summary>Interface a dropped packet came in by; 0 for packets of this host and other events.</summary>
    public uint Interface;

    /// <summary>Port of the source.</summary>
    public readonly ushort SourcePort => NetworkUInt16.FromRaw((ushort)RawPorts).Value;

    /// <summary>Port of the destination.</summary>
    public readonly ushort DestinationPort => NetworkUInt16.FromRaw((ushort)(RawPorts >> 16)).Value;
}

/// <summary>Events of one key, added up. Layout: count 8, last seen 8, detail 8.</summary>
public struct KernelEventEntry
{
    /// <summary>Number of events.</summary>
    public ulong Count;

    /// <summary>Monotonic nanoseconds of the latest.</summary>
    public ulong LastSeen;

    /// <summary>Detail of the latest.</summary>
    public ulong Detail;
}

/// <summary>One event in the ring. Layout: key 48, time 8, detail 8, process and thread 8.</summary>
public struct KernelEvent
{
    /// <summary>What it is about.</summary>
    public KernelEventKey Key;

    /// <summary>Monotonic nanoseconds.</summary>
    public ulong Time;

    /// <summary>Drops: address of the code that dropped. State changes: old state in the upper half, new state in the lower.</summary>
    public ulong Detail;

    /// <summary>Process id in the upper half, thread id in the lower, of the task that ran; not always the one the event concerns.</summary>
    public ulong Task;
}

/// <summary>States of a TCP socket (<c>include/net/tcp_states.h</c>).</summary>
public enum TcpState : uint
{
#pragma warning disable CS1591 // names of enum tcp_state
    Unknown = 0, Established = 1, SynSent = 2, SynRecv = 3, FinWait1 = 4, FinWait2 = 5, TimeWait = 6, Close = 7, CloseWait = 8, LastAck = 9,
    Listen = 10, Closing = 11, NewSynRecv = 12,
#pragma warning restore CS1591
}
