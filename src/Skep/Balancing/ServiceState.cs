using System.Collections.Immutable;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>A service as it is in effect.</summary>
/// <param name="Id">Its number in the maps; stable while the service exists, also across restarts of the agent.</param>
/// <param name="Model">What was asked for.</param>
/// <param name="Backends">Its backends.</param>
/// <param name="Slots">Slots of its ring.</param>
public sealed record ServiceState(uint Id, ServiceModel Model, ImmutableArray<BackendState> Backends, int Slots);

/// <summary>A backend as it is in effect.</summary>
/// <param name="Id">Its number in the maps; stable while the backend exists, also across restarts of the agent.</param>
/// <param name="Model">What was asked for.</param>
/// <param name="Share">Part of the ring it holds, 0 to 1.</param>
public sealed record BackendState(uint Id, BackendModel Model, double Share);

/// <summary>Traffic of a backend over all CPUs.</summary>
/// <param name="Connections">Connections given to it.</param>
/// <param name="Packets">Packets to it.</param>
/// <param name="Bytes">Bytes to it, Ethernet headers included.</param>
/// <param name="ReplyPackets">Packets of answers.</param>
/// <param name="ReplyBytes">Bytes of answers, Ethernet headers included.</param>
public readonly record struct BackendTraffic(ulong Connections, ulong Packets, ulong Bytes, ulong ReplyPackets, ulong ReplyBytes);

/// <summary>What packets told about a backend over all CPUs since it was added.</summary>
/// <param name="Opened">TCP connections begun by SYN.</param>
/// <param name="Closed">Connections that ended: FIN of both sides or RST.</param>
/// <param name="Handshakes">SYN answered by SYN-ACK.</param>
/// <param name="HandshakeSeconds">Sum of the times between the two.</param>
/// <param name="Requests">Measured requests: the first data of a client, and in a connection that goes on at most one a second.</param>
/// <param name="Answers">Measured requests that got a first byte of an answer.</param>
/// <param name="ResponseSeconds">Sum of the times between the two.</param>
/// <param name="Unanswered">Measured requests after which the backend ended the connection without an answer.</param>
/// <param name="Abandoned">Measured requests whose client went away first.</param>
/// <param name="Refused">SYN answered by RST; UDP answered by "port unreachable".</param>
/// <param name="Resets">Connections that the backend reset later.</param>
/// <param name="SynRepeats">SYN that came again because no answer did.</param>
public readonly record struct BackendReading(
    ulong Opened, ulong Closed, ulong Handshakes, double HandshakeSeconds, ulong Requests, ulong Answers, double ResponseSeconds, ulong Unanswered,
    ulong Abandoned, ulong Refused, ulong Resets, ulong SynRepeats)
{
    /// <summary>Handshakes whose time is in <see cref="HandshakeSeconds"/>.</summary>
    public ulong Timed { get; init; }

    /// <summary>With direct return, time that measured requests took on their way, which is not in <see cref="ResponseSeconds"/>.</summary>
    public double TripSeconds { get; init; }

    /// <summary>With direct return, packets with data that clients of sampled connections sent again.</summary>
    public ulong Retransmits { get; init; }

    /// <summary>Measured requests that wait for an answer.</summary>
    public long Waiting => (long)(Requests - Answers - Unanswered - Abandoned);

    /// <summary>Adds up what the CPUs counted.</summary>
    public static BackendReading Of(ReadOnlySpan<BackendSignals> perCpu)
    {
        var sum = default(BackendSignals);
        foreach (ref readonly var s in perCpu)
        {
            sum.Opened += s.Opened;
            sum.Closed += s.Closed;
            sum.Handshakes += s.Handshakes;
            sum.HandshakeTime += s.HandshakeTime;
            sum.Requests += s.Requests;
            sum.Answers += s.Answers;
            sum.ResponseTime += s.ResponseTime;
            sum.Unanswered += s.Unanswered;
            sum.Abandoned += s.Abandoned;
            sum.Refused += s.Refused;
            sum.Resets += s.Resets;
            sum.SynRepeats += s.SynRepeats;
        }

        const double Tick = BackendSignals.TickNanoseconds * 1e-9;
        return new(
            sum.Opened, sum.Closed, sum.Handshakes, sum.HandshakeTime * Tick, sum.Requests, sum.Answers, sum.ResponseTime * Tick, sum.Unanswered,
            sum.Abandoned, sum.Refused, sum.Resets, sum.SynRepeats) { Timed = sum.HandshakeTime > 0 ? sum.Handshakes : 0 };
    }

    /// <summary>With what sampled connections told on all CPUs.</summary>
    public BackendReading With(ReadOnlySpan<SampledSignals> perCpu)
    {
        var sum = this;
        const double Tick = BackendSignals.TickNanoseconds * 1e-9;
        foreach (ref readonly var s in perCpu)
        {
            sum = sum with
            {
                Timed = sum.Timed + s.Timed,
                HandshakeSeconds = sum.HandshakeSeconds + (s.HandshakeTime * Tick),
                Requests = sum.Requests + s.Requests,
                Answers = sum.Answers + s.Answers,
                ResponseSeconds = sum.ResponseSeconds + (s.ResponseTime * Tick),
                TripSeconds = sum.TripSeconds + (s.TripTime * Tick),
                Unanswered = sum.Unanswered + s.Unanswered,
                Abandoned = sum.Abandoned + s.Abandoned,
                Retransmits = sum.Retransmits + s.Retransmits,
            };
        }

        return sum;
    }
}

/// <summary>A balanced connection.</summary>
/// <param name="Client">Address of the client.</param>
/// <param name="ClientPort">Port of the client.</param>
/// <param name="Service">Virtual address.</param>
/// <param name="ServicePort">Virtual port.</param>
/// <param name="Protocol">TCP or UDP.</param>
/// <param name="BackendId">Id of the backend.</param>
/// <param name="Backend">Address of the backend.</param>
/// <param name="BackendPort">Port of the backend.</param>
/// <param name="End">How it ended so far.</param>
/// <param name="Idle">Time since the client's last packet.</param>
public sealed record ConnectionState(
    IpAddress Client,
    ushort ClientPort,
    IpAddress Service,
    ushort ServicePort,
    IpProtocol Protocol,
    uint BackendId,
    IpAddress Backend,
    ushort BackendPort,
    ConnectionEnd End,
    TimeSpan Idle)
{
    /// <summary>Address and port that the backend sees instead of the client's; null without source translation.</summary>
    public (IpAddress Address, ushort Port)? SeenAs { get; init; }
}

/// <summary>When connections are forgotten.</summary>
public sealed record ConnectionTimeouts
{
    /// <summary>TCP without a packet; longer than the two hours of TCP keep-alive (RFC 5382 section 5 asks for 2 h 4 min).</summary>
    public TimeSpan Tcp { get; init; } = TimeSpan.FromMinutes(130);

    /// <summary>TCP after FIN of one side.</summary>
    public TimeSpan HalfClosed { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>TCP after FIN of both sides or RST.</summary>
    public TimeSpan Closed { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>UDP without a packet (RFC 4787 section 4.3 asks for 2 min).</summary>
    public TimeSpan Udp { get; init; } = TimeSpan.FromMinutes(2);

    internal TimeSpan Of(IpProtocol protocol, in Connection connection) => protocol switch
    {
        IpProtocol.Udp => Udp,
        _ when connection.IsClosed => Closed,
        _ when connection.End != ConnectionEnd.None => HalfClosed,
        _ => Tcp,
    };
}
