using System.Collections.Immutable;
using Skep.Packets;

namespace Skep.Flows;

/// <summary>Where a TCP flow stands, as its packets tell; other protocols are <see cref="Active"/> throughout.</summary>
public enum FlowState
{
    /// <summary>Packets flow; the beginning was not seen, or there is none.</summary>
    Active,
    /// <summary>SYN seen, no answer yet.</summary>
    Opening,
    /// <summary>Both sides sent SYN.</summary>
    Established,
    /// <summary>One side sent FIN.</summary>
    Closing,
    /// <summary>Both sides sent FIN.</summary>
    Finished,
    /// <summary>One side sent RST.</summary>
    Reset,
}

/// <summary>One direction of a flow.</summary>
/// <param name="Packets">Packets as on the wire.</param>
/// <param name="Bytes">Bytes as on the wire, Ethernet headers included.</param>
/// <param name="Flags">TCP flags seen.</param>
/// <param name="Retransmits">Packets with data older than what was sent before.</param>
public readonly record struct FlowTraffic(ulong Packets, ulong Bytes, TcpFlags Flags, uint Retransmits);

/// <summary>Packets of a flow that the kernel dropped for one reason.</summary>
/// <param name="Reason">Number of the reason in the running kernel; <see cref="DropReasons"/> names it.</param>
/// <param name="Packets">How many.</param>
/// <param name="Location">Address of the kernel code that dropped the latest.</param>
public readonly record struct FlowDrop(uint Reason, ulong Packets, ulong Location);

/// <summary>A flow at an interface at one moment.</summary>
public sealed record Flow
{
    /// <summary>Interface index.</summary>
    public required uint Interface { get; init; }

    /// <summary>Protocol.</summary>
    public required IpProtocol Protocol { get; init; }

    /// <summary>The side behind the interface: this host or what it forwards for.</summary>
    public required IpAddress Local { get; init; }

    /// <summary>Its port, 0 when there is none.</summary>
    public required ushort LocalPort { get; init; }

    /// <summary>The side on the wire.</summary>
    public required IpAddress Remote { get; init; }

    /// <summary>Its port, 0 when there is none.</summary>
    public required ushort RemotePort { get; init; }

    /// <summary>Where the balancer of this host sends the flow, whose other name is the service's address; null when it is not balanced.</summary>
    public IpAddress? Backend { get; init; }

    /// <summary>Port of the backend.</summary>
    public ushort BackendPort { get; init; }

    /// <summary>Whether the local side began: it sent the SYN, or the first packet that was seen.</summary>
    public required bool IsOutgoing { get; init; }

    /// <summary>Where it stands.</summary>
    public required FlowState State { get; init; }

    /// <summary>How it ended, or that it did not.</summary>
    public required FlowEnd End { get; init; }

    /// <summary>From the local side.</summary>
    public required FlowTraffic Sent { get; init; }

    /// <summary>From the remote side.</summary>
    public required FlowTraffic Received { get; init; }

    /// <summary>Time since the first packet.</summary>
    public required TimeSpan Age { get; init; }

    /// <summary>Time since the latest packet.</summary>
    public required TimeSpan Idle { get; init; }

    /// <summary>Smoothed round trip from here to the remote side; null when unknown.</summary>
    public TimeSpan? Rtt { get; init; }

    /// <summary>Shortest round trip from here to the remote side; null when unknown.</summary>
    public TimeSpan? MinimumRtt { get; init; }

    /// <summary>Round trip of the handshake from here to the remote side; null when unknown.</summary>
    public TimeSpan? HandshakeRtt { get; init; }

    /// <summary>Smoothed round trip from here to the local side: tells a slow host from a slow path; null when unknown.</summary>
    public TimeSpan? LocalRtt { get; init; }

    /// <summary>Segments that this host's TCP sent again, as the kernel counts them; 0 for forwarded flows.</summary>
    public ulong KernelRetransmits { get; init; }

    /// <summary>Segments sent again in both directions: the kernel's count where it is the sender's, otherwise what the wire showed.</summary>
    public ulong Retransmits => Math.Max(KernelRetransmits, Sent.Retransmits) + Received.Retransmits;

    /// <summary>What the kernel dropped of it, most frequent first.</summary>
    public ImmutableArray<FlowDrop> Drops { get; init; } = [];

    /// <summary>Bytes of both directions.</summary>
    public ulong Bytes => Sent.Bytes + Received.Bytes;

    /// <summary>Packets of both directions.</summary>
    public ulong Packets => Sent.Packets + Received.Packets;

    /// <summary>Whether it ended or the other side must have.</summary>
    public bool IsOver => End != FlowEnd.None;

    /// <summary>The flow of a table entry or an end event.</summary>
    /// <param name="entry">The entry.</param>
    /// <param name="now">Monotonic nanoseconds.</param>
    public static Flow From(in FlowEntry entry, ulong now) => new()
    {
        Interface = entry.Key.Interface,
        Protocol = (IpProtocol)entry.Key.Protocol,
        Local = entry.Key.Local,
        LocalPort = entry.Key.LocalPort,
        Remote = entry.Key.Remote,
        RemotePort = entry.Key.RemotePort,
        IsOutgoing = OpenedLocally(in entry),
        State = StateOf(in entry),
        End = entry.End,
        Sent = Traffic(in entry.Sent),
        Received = Traffic(in entry.Received),
        Age = Since(entry.FirstSeen, now),
        Idle = Since(entry.LastSeen, now),
        Rtt = Time(entry.Sent.SmoothedRtt),
        MinimumRtt = Time(entry.Sent.MinimumRtt),
        HandshakeRtt = Time(entry.Sent.HandshakeRtt),
        LocalRtt = Time(entry.Received.SmoothedRtt),
    };

    /// <summary><c>10.0.0.1:4000 -> 192.0.2.1:80 TCP</c>, from the side that began.</summary>
    public override string ToString()
    {
        var (a, b) = (End(Local, LocalPort), End(Remote, RemotePort));
        return IsOutgoing ? $"{a} -> {b} {Protocol}" : $"{b} -> {a} {Protocol}";

        static string End(IpAddress address, ushort port) => port == 0 ? address.ToString() : address.IsIPv4 ? $"{address}:{port}" : $"[{address}]:{port}";
    }

    private static FlowState StateOf(in FlowEntry entry)
    {
        if (entry.Key.Protocol != (uint)IpProtocol.Tcp)
        {
            return FlowState.Active;
        }

        var sent = (TcpFlags)(byte)entry.Sent.Flags;
        var received = (TcpFlags)(byte)entry.Received.Flags;
        var either = sent | received;
        var both = sent & received;
        return (either & TcpFlags.Rst) != 0 ? FlowState.Reset
            : (both & TcpFlags.Fin) != 0 ? FlowState.Finished
            : (either & TcpFlags.Fin) != 0 ? FlowState.Closing
            : (both & TcpFlags.Syn) != 0 ? FlowState.Established
            : (either & TcpFlags.Syn) != 0 ? FlowState.Opening
            : FlowState.Active;
    }

    // The side that sent SYN without ever being first asked for one; else the first packet decides.
    internal static bool OpenedLocally(in FlowEntry entry)
    {
        var sent = (entry.Sent.Flags & (uint)TcpFlags.Syn) != 0;
        var received = (entry.Received.Flags & (uint)TcpFlags.Syn) != 0;
        return sent != received ? sent : entry.OpenedLocally != 0;
    }

    private static FlowTraffic Traffic(in FlowDirection direction) =>
        new(direction.Packets, direction.Bytes, (TcpFlags)(byte)direction.Flags, direction.Retransmits);

    private static TimeSpan? Time(uint nanoseconds) => nanoseconds == 0 ? null : TimeSpan.FromMicroseconds(nanoseconds / 1000.0);

    private static TimeSpan Since(ulong start, ulong now) => now <= start ? TimeSpan.Zero : TimeSpan.FromTicks((long)((now - start) / 100));
}
