using System.Runtime.InteropServices;

namespace Skep.Balancing;

/// <summary>
/// What is remembered of a sampled connection with direct return. Layout: hash 8, then six times 4. Times are in ticks of <see cref="BackendSignals.TickNanoseconds"/>.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public struct FlowSample
{
    /// <summary>Hash of the flow; 0 for an empty place.</summary>
    public ulong Hash;

    /// <summary>When its SYN, or the request that waits, passed.</summary>
    public uint Since;

    /// <summary>What the client had acknowledged when it asked.</summary>
    public uint Acknowledged;

    /// <summary>The sequence number that the client's next data has.</summary>
    public uint Next;

    /// <summary>Time of its handshake: the way from here to the backend, to the client and back.</summary>
    public uint Trip;

    /// <summary>Its backend.</summary>
    public uint Backend;

    /// <summary>What is waited for.</summary>
    public SamplePhase Phase;
}

/// <summary>What is waited for in a sampled connection.</summary>
public enum SamplePhase : uint
{
    /// <summary>Nothing.</summary>
    Open,
    /// <summary>That the client goes on after its SYN.</summary>
    Opening,
    /// <summary>That the client acknowledges an answer to its request.</summary>
    Asked,
}

/// <summary>
/// What sampled connections with direct return told about a backend on one CPU. Layout: nine times 8. Times are in ticks of <see cref="BackendSignals.TickNanoseconds"/>.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public struct SampledSignals
{
    /// <summary>Handshakes whose time was measured.</summary>
    public ulong Timed;

    /// <summary>Sum of the times from SYN to what the client sent after the answer to it.</summary>
    public ulong HandshakeTime;

    /// <summary>Requests: data of a client that waited for nothing.</summary>
    public ulong Requests;

    /// <summary>Requests whose answer the client acknowledged.</summary>
    public ulong Answers;

    /// <summary>Sum of the times between the two, each less the time of the connection's handshake.</summary>
    public ulong ResponseTime;

    /// <summary>Sum of what was subtracted from these times.</summary>
    public ulong TripTime;

    /// <summary>Requests on which the backend ended the connection: its FIN was acknowledged, and nothing else.</summary>
    public ulong Unanswered;

    /// <summary>Requests of connections that the client reset, or that made room for others.</summary>
    public ulong Abandoned;

    /// <summary>Packets with data that clients sent again.</summary>
    public ulong Retransmits;
}
