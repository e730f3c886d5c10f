using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// A virtual address. Layout: address 16, port in network order 4 (upper half zero in the map; the last port of a range), protocol 4. Port and protocol 0 stand for any.
/// </summary>
public record struct ServiceKey
{
    /// <summary>Virtual address.</summary>
    public IpAddress Address;

    /// <summary>Port as the processor loads it from a packet.</summary>
    public uint RawPort;

    /// <summary>Protocol number.</summary>
    public uint Protocol;
}

/// <summary>A service as the program sees it. Layout: id 4, first row of its ring 4, slots of its ring 4, flags 4.</summary>
public struct ServiceEntry
{
    /// <summary>Number of the service, below <see cref="BalancerMaps.MaxServices"/>; <see cref="AddressOnly"/> in entries without port.</summary>
    public uint Id;

    /// <summary>First row in <see cref="BalancerMaps.Ring"/>.</summary>
    public uint RingStart;

    /// <summary>Slots of the ring.</summary>
    public uint RingSlots;

    /// <summary>How a backend is chosen.</summary>
    public ServiceFlags Flags;

    /// <summary>Id of entries that only say that an address is a service's.</summary>
    public const uint AddressOnly = uint.MaxValue;
}

/// <summary>How a service chooses backends.</summary>
[Flags]
public enum ServiceFlags : uint
{
    /// <summary>By one slot of the ring.</summary>
    None = 0,
    /// <summary>Of the backends of two slots the one with fewer open connections for its weight.</summary>
    TwoChoices = 1,
    /// <summary>Clients' addresses and ports are replaced by those of <see cref="BalancerMaps.SourcePools"/>.</summary>
    TranslatesSources = 2,
    /// <summary>Beside <see cref="TranslatesSources"/>: only those of clients that are backends of the service themselves.</summary>
    OnlyOfBackends = 4,
    /// <summary>All connections of a client go to one backend; what counts of its address is in <see cref="DirectMaps.Services"/>.</summary>
    ByClient = 8,
    /// <summary>Only sources in <see cref="DirectMaps.Sources"/> may begin connections.</summary>
    Restricted = 16,
    /// <summary>The service has a range of ports, which is found by <see cref="DirectMaps.Vips"/>, and its backends serve the port that clients use.</summary>
    Ranged = 32,
}

/// <summary>
/// An address that backends see instead of the client's. Layout: address 16, first port 2 and ports 2 as numbers, addresses of the service 4.
/// </summary>
public struct SourcePool
{
    /// <summary>The address.</summary>
    public IpAddress Address;

    /// <summary>First port that is given out.</summary>
    public ushort FirstPort;

    /// <summary>Ports that are given out.</summary>
    public ushort Ports;

    /// <summary>Pools that the service has; they stand one after the other.</summary>
    public uint Pools;

    /// <summary>Addresses of one service.</summary>
    public const int MostAddresses = 4;
}

/// <summary>A backend as the program sees it. Layout: address 16, port in network order 2, in use 2, service 4, weight 4, group 4.</summary>
public struct BackendEntry
{
    /// <summary>Address.</summary>
    public IpAddress Address;

    /// <summary>Port; 0 for the one that clients use.</summary>
    public NetworkUInt16 Port;

    /// <summary>1 when the id is taken.</summary>
    public ushort InUse;

    /// <summary>Id of the service.</summary>
    public uint Service;

    /// <summary>Weight in the ring, in thousandths; 0 when it takes no connections.</summary>
    public uint Weight;

    /// <summary>Backends of different groups are not compared, because each group has a share of its own: 1 for the canary.</summary>
    public uint Group;
}

/// <summary>Traffic of a backend on one CPU. Layout: five times 8.</summary>
public struct BackendCounter
{
    /// <summary>Connections given to the backend.</summary>
    public ulong Connections;

    /// <summary>Packets to the backend.</summary>
    public ulong Packets;

    /// <summary>Bytes to the backend, Ethernet headers included.</summary>
    public ulong Bytes;

    /// <summary>Packets of answers.</summary>
    public ulong ReplyPackets;

    /// <summary>Bytes of answers, Ethernet headers included.</summary>
    public ulong ReplyBytes;
}
