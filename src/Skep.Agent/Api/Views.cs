using Skep.Resources;

namespace Skep.Agent.Api;

/// <summary><c>GET /api/v1/status</c>.</summary>
internal sealed record StatusView
{
    public required string Version { get; init; }

    public required string Instance { get; init; }

    public required int Pid { get; init; }

    public required DateTimeOffset StartedAt { get; init; }

    /// <summary><c>kernel</c> or <c>twin</c>.</summary>
    public required string Engine { get; init; }

    /// <summary>Why it is not the kernel, or what is degraded; empty when all is well.</summary>
    public required IReadOnlyList<string> Notices { get; init; }

    public required bool Ready { get; init; }

    public required long ResidentBytes { get; init; }

    public required ResourcesView Resources { get; init; }

    public required IReadOnlyList<InterfaceView> Interfaces { get; init; }

    public required IReadOnlyList<ProgramView> Programs { get; init; }

    public required IReadOnlyList<MapView> Maps { get; init; }

    /// <summary>Tables of the edge, as a TableSizes resource names them; none as long as nothing is enforced.</summary>
    public required IReadOnlyList<TableView> Tables { get; init; }

    public required IReadOnlyList<CounterView> Verdicts { get; init; }

    public required IReadOnlyList<CounterView> LostEvents { get; init; }

    public required int Flows { get; init; }
}

/// <summary>A named count.</summary>
internal sealed record CounterView(string Name, ulong Packets, ulong Bytes);

/// <summary>What is enforced, and what is wrong with what was asked last.</summary>
internal sealed record ResourcesView
{
    public required IReadOnlyList<string> Sources { get; init; }

    public required int LoadBalancers { get; init; }

    public required int BlockLists { get; init; }

    public required int RateLimits { get; init; }

    /// <summary>Addresses and prefixes blocked by command.</summary>
    public required int BlocksByCommand { get; init; }

    /// <summary>Counts the sets that were put into force.</summary>
    public required int Generation { get; init; }

    public required DateTimeOffset? AppliedAt { get; init; }

    /// <summary>False when the files have errors now, so that the last good set is in force.</summary>
    public required bool Current { get; init; }

    public required IReadOnlyList<ProblemView> Problems { get; init; }
}

/// <summary>A problem of a resource file.</summary>
internal sealed record ProblemView(string File, int Line, int Column, string Id, string Severity, string Message, string Advice)
{
    public static ProblemView Of(ResourceProblem p) =>
        new(p.File, p.Line, p.Column, p.Id, p.Severity == ProblemSeverity.Warning ? "warning" : "error", p.Message, p.Advice);
}

/// <summary>An interface and what is attached to it.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Index">Its number.</param>
/// <param name="Hooks">Where programs of Skep run.</param>
/// <param name="WhyEdge">Why the edge runs where it does; absent without edge.</param>
/// <param name="Error">What could not be attached.</param>
internal sealed record InterfaceView(string Name, int Index, IReadOnlyList<string> Hooks, string? WhyEdge, string? Error);

/// <summary>A program in force.</summary>
internal sealed record ProgramView(string Name, string Hook, int Instructions);

/// <summary>A map and how full it is.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Kind">Its kind.</param>
/// <param name="Entries">Entries in use; -1 for kinds that have no such number.</param>
/// <param name="Capacity">Most entries; bytes of rings.</param>
/// <param name="Bytes">Memory in the kernel; 0 under the twin.</param>
internal sealed record MapView(string Name, string Kind, long Entries, long Capacity, long Bytes);

/// <summary>A table of the edge, which may be several maps.</summary>
/// <param name="Name">What a TableSizes resource calls it.</param>
/// <param name="Used">How much of it is in use.</param>
/// <param name="Size">How much it holds.</param>
/// <param name="Bytes">Memory of its maps in the kernel; 0 under the twin.</param>
internal sealed record TableView(string Name, long Used, long Size, long Bytes);

/// <summary>A flow, named by its first packet.</summary>
internal sealed record FlowView
{
    public required string Source { get; init; }

    public required int SourcePort { get; init; }

    public required string Destination { get; init; }

    public required int DestinationPort { get; init; }

    /// <summary>Address and port of the backend that the balancer sends the flow to; absent when it is not balanced.</summary>
    public string? Backend { get; init; }

    public required string Protocol { get; init; }

    public required string Interface { get; init; }

    /// <summary><c>ingress</c> or <c>egress</c>: which way the first packet went.</summary>
    public required string Direction { get; init; }

    public required ulong Packets { get; init; }

    public required ulong Bytes { get; init; }

    /// <summary>Packets and bytes of the answers.</summary>
    public required ulong ReplyPackets { get; init; }

    public required ulong ReplyBytes { get; init; }

    public required string State { get; init; }

    public required string Flags { get; init; }

    /// <summary>Last smoothed round trip in microseconds; null when not measured.</summary>
    public required double? RttMicroseconds { get; init; }

    public required ulong Retransmits { get; init; }

    /// <summary>What the kernel dropped of it, by reason; absent when nothing.</summary>
    public IReadOnlyList<FlowDropView>? Drops { get; init; }

    public required DateTimeOffset FirstSeen { get; init; }

    public required DateTimeOffset LastSeen { get; init; }

    public required bool Ended { get; init; }
}

/// <summary>Packets of a flow that the kernel dropped for one reason.</summary>
internal sealed record FlowDropView(string Reason, ulong Packets);

/// <summary><c>GET /api/v1/flows</c>. The agent's own holds what its flows are made from: to be disposed of.</summary>
internal sealed record FlowsView(DateTimeOffset Now, int Total, IReadOnlyList<FlowView> Flows) : IDisposable
{
    public void Dispose() => (Flows as IDisposable)?.Dispose();
}

/// <summary>Packets the kernel dropped for one reason.</summary>
internal sealed record DropView
{
    /// <summary><c>stack</c> for the network stack, <c>edge</c> for what Skep dropped.</summary>
    public required string Stage { get; init; }

    public required string Reason { get; init; }

    public required string Meaning { get; init; }

    public required ulong Packets { get; init; }

    public string? LastSource { get; init; }

    public string? LastDestination { get; init; }

    public string? LastProtocol { get; init; }

    public DateTimeOffset? LastSeen { get; init; }
}

/// <summary>A virtual endpoint.</summary>
internal sealed record ServiceView(string LoadBalancer, string Address, int Port, string Protocol, ulong Packets, ulong Bytes, ulong Connections, int Backends);

/// <summary>A backend of a virtual endpoint.</summary>
internal sealed record BackendView(
    string LoadBalancer, string Service, string Address, int Port, int Weight, double Share, ulong Packets, ulong Bytes, ulong Connections)
{
    /// <summary><c>up</c>, <c>dead</c> (by health checks), <c>ejected</c> (for failing), <c>draining</c>, <c>drained</c> (weight 0).</summary>
    public string State { get; init; } = "up";

    /// <summary>What health checks say; absent when nobody checks.</summary>
    public string? Reason { get; init; }

    /// <summary>When what remains of its connections is cut; absent when it is not drained or may take its time.</summary>
    public DateTimeOffset? DrainEnds { get; init; }

    /// <summary>Seconds until then; 0 or less when it has been.</summary>
    public double? DrainSeconds { get; init; }

    /// <summary>Packets of answers that came back through the balancer; none with direct return.</summary>
    public ulong ReplyPackets { get; init; }

    /// <summary>Bytes of answers.</summary>
    public ulong ReplyBytes { get; init; }

    /// <summary>With direct return, whether the way to it is known down to the Ethernet address; absent otherwise.</summary>
    public bool? Reachable { get; init; }

    /// <summary>Connections that have not ended; counted anew every ten seconds.</summary>
    public long Active { get; init; }

    /// <summary>Measured requests that wait for an answer.</summary>
    public long Waiting { get; init; }

    /// <summary>Mean time from SYN to SYN-ACK, with direct return to what the client sends after it, in microseconds; absent when not measured.</summary>
    public double? HandshakeMicroseconds { get; init; }

    /// <summary>
    /// Mean time from a request to the first byte of the answer in microseconds; with direct return until the client acknowledges it, less the time of the handshake. Absent
    /// when not measured.
    /// </summary>
    public double? ResponseMicroseconds { get; init; }

    /// <summary>Connections it refused.</summary>
    public ulong Refused { get; init; }

    /// <summary>Connections it reset.</summary>
    public ulong Resets { get; init; }

    /// <summary>Requests on which it hung up.</summary>
    public ulong Unanswered { get; init; }

    /// <summary>SYN that clients sent again.</summary>
    public ulong SynRepeats { get; init; }

    /// <summary>With direct return, packets with data that clients of sampled connections sent again.</summary>
    public ulong Retransmits { get; init; }
}

/// <summary>Where a connection goes: <c>GET /api/v1/explain?client=203.0.113.7:40000&amp;service=192.0.2.10:80&amp;protocol=tcp</c>.</summary>
/// <param name="LoadBalancer">Name of the load balancer; absent when the destination is none's.</param>
/// <param name="Backend">Address and port; absent when there is none.</param>
/// <param name="IsKnown">Whether the connection exists; else it is what a new one would get now.</param>
/// <param name="Steps">How it comes to that.</param>
internal sealed record ExplanationView(string? LoadBalancer, string? Backend, bool IsKnown, IReadOnlyList<string> Steps);

/// <summary>A packet of a traced connection, a line of <c>POST /api/v1/trace?client=203.0.113.7&amp;service=192.0.2.10:80&amp;protocol=tcp&amp;count=20&amp;for=30s</c>.</summary>
/// <param name="Number">Counts packets from 1.</param>
/// <param name="At">When it left.</param>
/// <param name="Direction"><c>request</c>, <c>answer</c>.</param>
/// <param name="Packet">What it was as it came in.</param>
/// <param name="Verdict">What was decided, as in <c>skep_edge_packets_total</c>.</param>
/// <param name="LoadBalancer">Name of the load balancer; absent when it was none's.</param>
/// <param name="Backend">Address and port of the backend; absent when there was none.</param>
/// <param name="Steps">Its way, a sentence each.</param>
/// <param name="Lost">Packets of the trace so far that were too many to be written down.</param>
internal sealed record TraceView(
    int Number, DateTimeOffset At, string Direction, string Packet, string Verdict, string? LoadBalancer, string? Backend, IReadOnlyList<string> Steps, ulong Lost);

/// <summary>A decision about a backend: <c>GET /api/v1/decisions</c>.</summary>
/// <param name="Number">Counts decisions from 1: ask for those after it.</param>
/// <param name="At">When.</param>
/// <param name="LoadBalancer">Name of the load balancer.</param>
/// <param name="Service">Virtual endpoint.</param>
/// <param name="Backend">Address and port of the backend; of the service for what concerns all.</param>
/// <param name="Kind">What: <c>less</c>, <c>more</c>, <c>ejected</c> and so on.</param>
/// <param name="Before">Share of new connections before, 0 to 1.</param>
/// <param name="After">Share afterwards.</param>
/// <param name="Reason">Why.</param>
internal sealed record DecisionView(
    long Number, DateTimeOffset At, string LoadBalancer, string Service, string Backend, string Kind, double Before, double After, string Reason);

/// <summary>A blocked source.</summary>
internal sealed record BlockView(string Prefix, string Reason, DateTimeOffset? Until, string Origin, ulong Packets);

/// <summary><c>POST /api/v1/blocks</c>.</summary>
internal sealed record BlockRequest
{
    public string? Prefix { get; init; }

    /// <summary>A duration such as <c>10m</c>; no end unless given.</summary>
    public string? For { get; init; }

    public string? Reason { get; init; }

    /// <summary>Where to drop; those of the block lists unless given.</summary>
    public IReadOnlyList<string>? Interfaces { get; init; }

    /// <summary>Block it even if it covers this host or the operator's connection.</summary>
    public bool Force { get; init; }
}

/// <summary>Outcome of <c>POST /api/v1/resources</c>.</summary>
internal sealed record ApplyView(bool Applied, int LoadBalancers, int BlockLists, int RateLimits, IReadOnlyList<ProblemView> Problems);

/// <summary>A feature of the kernel.</summary>
internal sealed record FeatureView(string Name, bool Available, string Since, string NeededFor, string Detail);

/// <summary>A refusal (RFC 9457).</summary>
internal sealed record ProblemDetailsView
{
    public string? Type { get; init; }

    public string? Title { get; init; }

    public int? Status { get; init; }

    public string? Detail { get; init; }

    public IReadOnlyList<ProblemView>? Problems { get; init; }
}
