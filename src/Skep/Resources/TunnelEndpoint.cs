using System.Collections.Immutable;
using System.Net;

namespace Skep.Resources;

/// <summary>This host is a backend of balancers with direct return: outer headers are taken off packets for its virtual addresses.</summary>
public sealed record TunnelEndpoint : Resource
{
    /// <inheritdoc/>
    public override string Kind => "TunnelEndpoint";

    /// <summary>Addresses of this host that balancers send to.</summary>
    public required ImmutableArray<IPAddress> TunnelAddresses { get; init; }

    /// <summary>Virtual addresses that may come in outer headers; this host has them on its loopback device.</summary>
    public required ImmutableArray<IPAddress> Addresses { get; init; }

    /// <summary>Where the balancers are; outer headers from elsewhere are refused.</summary>
    public required ImmutableArray<IPNetwork> Balancers { get; init; }

    /// <summary>Other backends, to which packets go on that came with one of them as a second hop and have no socket here.</summary>
    public ImmutableArray<IPAddress> Peers { get; init; } = [];
}
