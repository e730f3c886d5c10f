using System.Globalization;
using Skep.Agent.Api;
using Skep.Balancing;
using Skep.Flows;
using Skep.Packets;

namespace Skep.Agent.Observing;

/// <summary>Flows as people see them: from who asked to who was asked.</summary>
internal static class FlowViews
{
    private static readonly (TcpFlags Flag, char Letter)[] s_letters =
    [
        (TcpFlags.Syn, 'S'), (TcpFlags.Ack, 'A'), (TcpFlags.Psh, 'P'), (TcpFlags.Fin, 'F'), (TcpFlags.Rst, 'R'), (TcpFlags.Urg, 'U'), (TcpFlags.Ece, 'E'), (TcpFlags.Cwr, 'C'),
    ];

    // Every flow has one: made once, not for each.
    private static readonly string[] s_protocols = [.. Enumerable.Range(0, 256).Select(p => ((IpProtocol)p).ToString().ToLowerInvariant())];

    public static FlowView Of(Flow flow, DateTimeOffset at, IReadOnlyDictionary<int, string> interfaces)
    {
        var (there, back) = flow.IsOutgoing ? (flow.Sent, flow.Received) : (flow.Received, flow.Sent);
        return new FlowView
        {
            Source = (flow.IsOutgoing ? flow.Local : flow.Remote).ToString(),
            SourcePort = flow.IsOutgoing ? flow.LocalPort : flow.RemotePort,
            Destination = (flow.IsOutgoing ? flow.Remote : flow.Local).ToString(),
            DestinationPort = flow.IsOutgoing ? flow.RemotePort : flow.LocalPort,
            Backend = flow.Backend is { } backend ? EndpointText.Of(backend, flow.BackendPort) : null,
            Protocol = NameOf(flow.Protocol),
            Interface = InterfaceOf((int)flow.Interface, interfaces),
            Direction = flow.IsOutgoing ? "egress" : "ingress",
            Packets = there.Packets,
            Bytes = there.Bytes,
            ReplyPackets = back.Packets,
            ReplyBytes = back.Bytes,
            State = StateOf(flow, back),
            Flags = string.Concat(s_letters.Where(l => ((there.Flags | back.Flags) & l.Flag) != 0).Select(l => l.Letter)),
            // The way to the other side of the network first; for what is forwarded to this side, the way to it.
            RttMicroseconds = (flow.Rtt ?? flow.LocalRtt) is { } rtt ? Math.Round(rtt.TotalMicroseconds, 1) : null,
            Retransmits = flow.Retransmits,
            Drops = flow.Drops.IsEmpty ? null : [.. flow.Drops.Select(d => new FlowDropView(DropViews.NameOf(d.Reason), d.Packets))],
            FirstSeen = at - flow.Age,
            LastSeen = at - flow.Idle,
            Ended = flow.IsOver,
        };
    }

    /// <summary><c>tcp</c>, <c>udp</c>, <c>icmp</c>; a number when it has no name.</summary>
    public static string NameOf(IpProtocol protocol) => s_protocols[(byte)protocol];

    /// <summary>Whether a flow can have a protocol of that name.</summary>
    public static bool IsProtocol(string name) => s_protocols.Contains(name, StringComparer.Ordinal);

    /// <summary>Name of the interface of a flow; its number when it is gone.</summary>
    public static string InterfaceOf(in FlowKey key, IReadOnlyDictionary<int, string> interfaces) => InterfaceOf((int)key.Interface, interfaces);

    private static string InterfaceOf(int index, IReadOnlyDictionary<int, string> interfaces) =>
        interfaces.GetValueOrDefault(index) ?? index.ToString(CultureInfo.InvariantCulture);

    private static string StateOf(Flow flow, FlowTraffic back) =>
        flow.End != FlowEnd.None ? flow.End.ToString().ToLowerInvariant()
        : flow.Protocol != IpProtocol.Tcp ? back.Packets > 0 ? "answered" : "one-way"
        : flow.State.ToString().ToLowerInvariant();
}
