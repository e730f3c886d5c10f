using System.Collections.Immutable;
using Skep.Balancing.Adaptive;
using Skep.Balancing.Health;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>A service as it is wanted: one virtual address, port and protocol, and the backends behind it.</summary>
/// <param name="Name">Name for people, for example <c>shop</c>; several services may share one.</param>
/// <param name="Address">Virtual address.</param>
/// <param name="Port">Virtual port.</param>
/// <param name="Protocol">TCP or UDP.</param>
/// <param name="Backends">Backends; of the same family as the address unless packets travel in outer IP headers.</param>
public sealed record ServiceModel(string Name, IpAddress Address, ushort Port, IpProtocol Protocol, ImmutableArray<BackendModel> Backends)
{
    /// <summary>Limit on new connections; null for none.</summary>
    public ServiceRate? ConnectionRate { get; init; }

    /// <summary>Limit on packets of clients; null for none.</summary>
    public ServiceRate? PacketRate { get; init; }

    /// <summary>How weights follow the traffic.</summary>
    public ServicePolicy Policy { get; init; } = ServicePolicy.Static;

    /// <summary>How its backends are checked; null for not.</summary>
    public HealthCheck? Health { get; init; }

    /// <summary>How packets reach the backends.</summary>
    public ForwardingMode Forwarding { get; init; }

    /// <summary>What backends see instead of clients' addresses; null for these themselves. With <see cref="ForwardingMode.Nat"/> only.</summary>
    public SourceTranslation? SourceTranslation { get; init; }

    /// <summary>Last port of a range that begins with <see cref="Port"/>; null for one port. Backends serve the port that clients use.</summary>
    public ushort? LastPort { get; init; }

    /// <summary>Bits of a client's address by which all its connections go to one backend, counted within the family; null for affinity of connections.</summary>
    public int? ClientPrefix { get; init; }

    /// <summary>Whether flows are remembered; without it the ring alone decides. Direct return only.</summary>
    public bool Tracking { get; init; } = true;

    /// <summary>Sources that may begin connections; all when there are none.</summary>
    public ImmutableArray<IpPrefix> SourceRanges { get; init; } = [];

    /// <summary>
    /// UDP with direct return: configurations of QUIC connection ids that name backends, a bit each; 0 for none. See <see cref="BackendModel.QuicServerId"/>.
    /// </summary>
    public byte QuicConfigs { get; init; }

    /// <summary>
    /// TCP in GUE or Geneve: whether a packet of a connection that is not known takes along who had its slot of the ring before, to whom the backend sends it on when it
    /// has no socket for it.
    /// </summary>
    public bool SecondChance { get; init; }

    /// <summary>The key in the service map; of a range, its last port is in the upper half of the port.</summary>
    public ServiceKey Key => new()
    {
        Address = Address,
        RawPort = NetworkUInt16.From(Port).Raw | (LastPort is { } last ? (uint)NetworkUInt16.From(last).Raw << 16 : 0),
        Protocol = (uint)Protocol,
    };

    /// <summary>Address, port and protocol: <c>192.0.2.1:80/tcp</c>, <c>192.0.2.1:5000-5999/udp</c>.</summary>
    public string Endpoint => $"{EndpointText.Of(Address, Port)}{(LastPort is { } last ? "-" + last : "")}/{Protocol.ToString().ToLowerInvariant()}";
}

/// <summary>A backend as it is wanted.</summary>
/// <param name="Address">Address.</param>
/// <param name="Port">Port; 0 for the one that clients use.</param>
/// <param name="Weight">Share of new connections relative to the other backends, 0 to 1000; 0 drains.</param>
/// <param name="Drain">Keeps its connections and gets no new ones.</param>
/// <param name="Alive">Whether health checks, if any, pass; a dead backend gets no new connections.</param>
public sealed record BackendModel(IpAddress Address, ushort Port, int Weight = 1, bool Drain = false, bool Alive = true)
{
    /// <summary>Why it is alive or not, for people; null when nobody checked.</summary>
    public string? AliveReason { get; init; }

    /// <summary>Mean time of the checks of late that passed, in seconds; of no meaning when none did.</summary>
    public double CheckSeconds { get; init; }

    /// <summary>Checks behind <see cref="CheckSeconds"/>.</summary>
    public int ChecksTimed { get; init; }

    /// <summary>Zone it stands in; null when none is declared.</summary>
    public string? Zone { get; init; }

    /// <summary>Whether it belongs to the canary, which gets a share of its own.</summary>
    public bool Canary { get; init; }

    /// <summary>How long a drain may take, from when it is seen; what remains then is cut. Null for as long as connections last.</summary>
    public TimeSpan? DrainFor { get; init; }

    /// <summary>What stands for it in QUIC connection ids; of the same length for all backends of a service. Null for nothing.</summary>
    public QuicServerId? QuicServerId { get; init; }

    /// <summary>Weight that follows the traffic, in thousandths, 0 to 1,000,000; null leaves <see cref="Weight"/> as it is.</summary>
    public int? Adjusted { get; init; }

    /// <summary>Weight in the ring, in thousandths.</summary>
    public int RingWeight => Adjusted ?? Weight * 1000;

    /// <summary>Whether the backend gets new connections.</summary>
    public bool TakesConnections => RingWeight > 0 && !Drain && Alive;
}

/// <summary>Addresses and ports as people write them.</summary>
public static class EndpointText
{
    /// <summary><c>192.0.2.1:80</c>, <c>[2001:db8::1]:80</c>; without the port when it is 0.</summary>
    public static string Of(IpAddress address, ushort port) => port == 0 ? address.ToString() : address.IsIPv4 ? $"{address}:{port}" : $"[{address}]:{port}";
}
