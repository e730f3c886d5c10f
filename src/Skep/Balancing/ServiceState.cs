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
    TimeSpan Idle);

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
