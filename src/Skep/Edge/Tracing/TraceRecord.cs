using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Skep.Balancing;
using Skep.Packets;

namespace Skep.Edge.Tracing;

/// <summary>
/// A packet of a traced connection at one hook, as it came and as it left. Layout: flow 40, time 8, interface 4, length before 4, length afterwards 4, verdict 4, action 4,
/// backend 4, is new 4, marks 4, first bytes before 96, first bytes afterwards 160.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public struct TraceRecord
{
    /// <summary>Addresses and ports as it came.</summary>
    public ConnectionKey Flow;

    /// <summary>Time of the kernel's monotonic clock in nanoseconds.</summary>
    public ulong Time;

    /// <summary>Index of the interface it came in by.</summary>
    public uint Interface;

    /// <summary>Its bytes as it came.</summary>
    public uint LengthBefore;

    /// <summary>Its bytes as it left.</summary>
    public uint LengthAfter;

    /// <summary>What was decided: <see cref="EdgeVerdict"/>.</summary>
    public uint Verdict;

    /// <summary>What the program returned: an action of XDP or of traffic control.</summary>
    public uint Action;

    /// <summary>Id of the backend that it was given to; 0 for none.</summary>
    public uint Backend;

    /// <summary>1 when its connection was given the backend just now, 0 when that was known.</summary>
    public uint IsNew;

    /// <summary>What it is.</summary>
    public TraceMarks Marks;

    /// <summary>First bytes as it came.</summary>
    public BytesBefore Before;

    /// <summary>First bytes as it left.</summary>
    public BytesAfter After;

    /// <summary>Twelve words.</summary>
    [InlineArray(Words)]
    public struct BytesBefore
    {
        internal const int Words = 12;

        private ulong _first;
    }

    /// <summary>Twenty words: outer headers, and those of the packet.</summary>
    [InlineArray(Words)]
    public struct BytesAfter
    {
        internal const int Words = 20;

        private ulong _first;
    }
}

/// <summary>What a traced packet is.</summary>
[Flags]
public enum TraceMarks : uint
{
    /// <summary>Of another connection.</summary>
    None = 0,
    /// <summary>The client's.</summary>
    Request = 1,
    /// <summary>The backend's.</summary>
    Reply = 2,
    /// <summary>Its bytes begin with an Ethernet header.</summary>
    Ethernet = 4,
    /// <summary>It was seen at traffic control, else at XDP.</summary>
    TrafficControl = 8,
    /// <summary>It has ports.</summary>
    HasPorts = 16,
}

/// <summary>Which packets are traced. Layout: client 16, virtual address 16, ports 4 (the client's in the lower half, network order), protocol 4.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct TraceFilter
{
    /// <summary>The client.</summary>
    public IpAddress Client;

    /// <summary>The virtual address.</summary>
    public IpAddress Service;

    /// <summary>Ports; 0 of the client for any.</summary>
    public uint RawPorts;

    /// <summary>Protocol number; 0 for no packets.</summary>
    public uint Protocol;
}
