using Skep.Bpf.Maps;
using Skep.Engine;
using Skep.Packets;

namespace Skep.Balancing.Sockets;

/// <summary>
/// What a socket talks to. Layout: cookie of the socket 8, address 16, port in network order 4 (upper half zero), protocol 2, direction 2.
/// </summary>
public struct SocketKey
{
    /// <summary>Number of the socket in the kernel, never used again.</summary>
    public ulong Cookie;

    /// <summary>The service's address (forward) or the backend's (reply).</summary>
    public IpAddress Address;

    /// <summary>Its port as the processor loads it.</summary>
    public uint RawPort;

    /// <summary>Protocol number.</summary>
    public ushort Protocol;

    /// <summary><see cref="ConnectionDirection"/>: forward finds the backend, reply the service.</summary>
    public ushort Direction;
}

/// <summary>What stands for it. Layout: address 16, port 2, zero 2, backend 4.</summary>
public struct SocketPeer
{
    /// <summary>The backend's address (forward) or the service's (reply).</summary>
    public IpAddress Address;

    /// <summary>Its port.</summary>
    public NetworkUInt16 Port;

    /// <summary>Zero.</summary>
    public ushort Reserved;

    /// <summary>Id of the backend.</summary>
    public uint Backend;
}

/// <summary>The maps of balancing at the socket, beside those of the balancer.</summary>
public sealed class SocketMaps
{
    /// <summary>Describes the maps.</summary>
    /// <param name="maxServices">Services at most.</param>
    /// <param name="maxPeers">Peers of sockets that are remembered; 96 bytes each. A TCP socket takes one, a UDP socket two for each service.</param>
    public SocketMaps(uint maxServices, uint maxPeers)
    {
        Services = new(maxServices, "edge_hosts");
        Peers = new(maxPeers, "edge_sockets");
    }

    /// <summary>The services that sockets of this host are balanced to; values are 1.</summary>
    public HashMap<ServiceKey, uint> Services { get; }

    /// <summary>What sockets were given instead of a service, both ways.</summary>
    public LruHashMap<SocketKey, SocketPeer> Peers { get; }

    /// <summary>What becomes of the entries of a map when an agent wants it in another size or layout.</summary>
    public MapMigration MigrationOf(BpfMap map) => map == Peers ? MapMigration.Cache : MapMigration.Rebuilt;

    /// <summary>All maps.</summary>
    public IReadOnlyList<BpfMap> All => [Services, Peers];
}
