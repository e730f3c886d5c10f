using System.Collections.Immutable;
using System.Net;
using Skep.Balancing.Adaptive;
using Skep.Balancing.Health;
using Skep.Balancing;

namespace Skep.Resources;

/// <summary>Virtual addresses and ports that are balanced over weighted backends.</summary>
public sealed record LoadBalancer : Resource
{
    /// <inheritdoc/>
    public override string Kind => "LoadBalancer";

    /// <summary>
    /// Virtual addresses, IPv4 and IPv6; each is balanced over the backends of its own family, or over all when packets travel in outer IP headers.
    /// </summary>
    public required ImmutableArray<IPAddress> Addresses { get; init; }

    /// <summary>Ports that are served on every address.</summary>
    public required ImmutableArray<LoadBalancerPort> Ports { get; init; }

    /// <summary>
    /// Whether, at traffic control, balanced packets go on by the routing table at once, past this host's firewall rules for forwarded packets. An interface does so when
    /// all balancers that name it do.
    /// </summary>
    public bool BypassStack { get; init; }

    /// <summary>Whether connections that processes of this host open are balanced too, at the socket.</summary>
    public bool FromThisHost { get; init; }

    /// <summary>Control group whose processes these are, from the root of the hierarchy; <c>/</c> for all of the host.</summary>
    public string Cgroup { get; init; } = "/";

    /// <summary>Where connections go.</summary>
    public required ImmutableArray<Backend> Backends { get; init; }

    /// <summary>How backends are checked; null for not.</summary>
    public HealthCheck? HealthCheck { get; init; }

    /// <summary>How weights follow traffic and health.</summary>
    public ServicePolicy Policy { get; init; } = ServicePolicy.Static;

    /// <summary>How packets reach the backends.</summary>
    public ForwardingMode Forwarding { get; init; }

    /// <summary>Which part of a client's address keeps all its connections on one backend; null for affinity of connections.</summary>
    public ClientAffinity? Affinity { get; init; }

    /// <summary>Whether flows are remembered.</summary>
    public bool Tracking { get; init; } = true;

    /// <summary>Sources that may begin connections; all when there are none.</summary>
    public ImmutableArray<IPNetwork> SourceRanges { get; init; } = [];

    /// <summary>Limit on new connections of each endpoint; null for none.</summary>
    public ServiceRate? ConnectionRate { get; init; }

    /// <summary>Limit on packets of clients to each endpoint; null for none.</summary>
    public ServiceRate? PacketRate { get; init; }

    /// <summary>Whether packets of unknown connections take the former owner of their slot along.</summary>
    public bool SecondChance { get; init; }

    /// <summary>Configurations of QUIC connection ids that name backends, a bit each; 0 for none.</summary>
    public byte QuicConfigs { get; init; }

    /// <summary>What backends see instead of clients' addresses; null for these themselves.</summary>
    public TranslatedSources? SourceTranslation { get; init; }
}

/// <summary>Own addresses and ports that backends see instead of the clients'.</summary>
/// <param name="Addresses">Addresses of this host, of every family that has a virtual address.</param>
/// <param name="FirstPort">First port that is given out.</param>
/// <param name="LastPort">Last port that is given out.</param>
/// <param name="OnlyBackends">Only clients that are backends of the balancer themselves.</param>
/// <param name="Source">Where it was declared.</param>
public sealed record TranslatedSources(ImmutableArray<IPAddress> Addresses, ushort FirstPort, ushort LastPort, bool OnlyBackends, ResourceSource Source)
{
    /// <summary>Whether another one asks for the same, wherever it is written.</summary>
    public bool Equals(TranslatedSources? other) => other is not null && Addresses.AsSpan().SequenceEqual(other.Addresses.AsSpan())
        && (FirstPort, LastPort, OnlyBackends) == (other.FirstPort, other.LastPort, other.OnlyBackends);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Addresses.Length, FirstPort, LastPort, OnlyBackends);
}

/// <summary>Affinity by client.</summary>
/// <param name="IPv4Prefix">Bits of an IPv4 address that count, 1 to 32.</param>
/// <param name="IPv6Prefix">Bits of an IPv6 address that count, 1 to 128.</param>
public sealed record ClientAffinity(int IPv4Prefix = 32, int IPv6Prefix = 128);

/// <summary>Transport protocol of a balanced port.</summary>
public enum TransportProtocol : byte
{
    /// <summary>TCP (IP protocol 6).</summary>
    TCP = 6,
    /// <summary>UDP (IP protocol 17).</summary>
    UDP = 17,
}

/// <summary>A port of a load balancer.</summary>
/// <param name="Port">Port clients use; 0 for all ports.</param>
/// <param name="Protocol">Protocol.</param>
/// <param name="TargetPort">Port of the backends, unless a backend has its own.</param>
/// <param name="EndPort">Last port of a range; null for one port.</param>
public readonly record struct LoadBalancerPort(ushort Port, TransportProtocol Protocol, ushort TargetPort, ushort? EndPort = null)
{
    /// <summary>First and last port.</summary>
    public (ushort First, ushort Last) Range => Port == 0 ? ((ushort)0, ushort.MaxValue) : (Port, EndPort ?? Port);
}

/// <summary>A backend of a load balancer.</summary>
/// <param name="Address">Address.</param>
/// <param name="Port">Its own port; null for the target port of the balancer.</param>
/// <param name="Weight">Share of new connections, from 0 (drained: keeps its connections, gets no new ones) to 1000.</param>
/// <param name="Source">Where it was declared.</param>
public sealed record Backend(IPAddress Address, ushort? Port, int Weight, ResourceSource Source)
{
    /// <summary>Zone it stands in; null when none is declared.</summary>
    public string? Zone { get; init; }

    /// <summary>Whether it belongs to the canary.</summary>
    public bool Canary { get; init; }

    /// <summary>Whether it keeps its connections and gets no new ones.</summary>
    public bool Drain { get; init; }

    /// <summary>What stands for it in QUIC connection ids; null for nothing.</summary>
    public QuicServerId? QuicServerId { get; init; }

    /// <summary>How long a drain may take; null for as long as connections last.</summary>
    public TimeSpan? DrainFor { get; init; }
}
