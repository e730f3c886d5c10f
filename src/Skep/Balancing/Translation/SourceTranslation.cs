using System.Collections.Immutable;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>What backends see instead of clients' addresses and ports, so that answers come back whatever route backends have.</summary>
/// <param name="Addresses">Addresses of this host, of the service's family.</param>
public sealed record SourceTranslation(ImmutableArray<IpAddress> Addresses)
{
    /// <summary>
    /// First port that is given out. Below 32768 by default, where Linux takes no port for its own connections (<c>ip_local_port_range</c>): a port of both would
    /// give a backend's answer to this host to a client.
    /// </summary>
    public ushort FirstPort { get; init; } = 1024;

    /// <summary>Last port that is given out.</summary>
    public ushort LastPort { get; init; } = 32767;

    /// <summary>Only clients that are backends of the service themselves, which otherwise could not use it.</summary>
    public bool OnlyBackends { get; init; }

    /// <inheritdoc/>
    public bool Equals(SourceTranslation? other) => other is not null && Addresses.AsSpan().SequenceEqual(other.Addresses.AsSpan())
        && (FirstPort, LastPort, OnlyBackends) == (other.FirstPort, other.LastPort, other.OnlyBackends);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Addresses.Length, FirstPort, LastPort, OnlyBackends);
}
