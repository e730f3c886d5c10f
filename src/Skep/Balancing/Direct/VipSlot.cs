using System.Runtime.InteropServices;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// A place of the table of virtual endpoints with direct return. A key stands in one of two places, so a lookup costs at most two array accesses and no call.
/// <code>
/// 0 address:16   16 port in network order:2, protocol:1, rank:1   20 service:2   22 flags:2   24 first port:2   26 last port:2   28 zero:4
/// </code>
/// Port 0 stands for a range of ports; rank numbers the ranges of one address and protocol. An empty place has protocol 0. In the table of QUIC server ids the
/// address is an id, the key its service and length, and the service its backend.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public struct VipSlot
{
    /// <summary>Virtual address.</summary>
    public IpAddress Address;

    /// <summary>Port as the processor loads it from a packet in bits 0-15, protocol in 16-23, rank in 24-31.</summary>
    public uint Key;

    /// <summary>Id of the service.</summary>
    public ushort Service;

    /// <summary>How its packets are treated.</summary>
    public VipFlags Flags;

    /// <summary>First port of a range.</summary>
    public ushort FirstPort;

    /// <summary>Last port of a range.</summary>
    public ushort LastPort;

    /// <summary>Zero.</summary>
    public uint Reserved;

    /// <summary>Ranges that one address and protocol may have.</summary>
    public const int MaxRanges = 4;

    /// <summary>The key of a port and protocol, or of a range.</summary>
    public static uint KeyOf(ushort rawPort, IpProtocol protocol, int rank = 0) => rawPort | ((uint)protocol << 16) | ((uint)rank << 24);

    /// <summary>Spreads an endpoint over 64 bits; only the upper half is well mixed.</summary>
    public static ulong Hash(in IpAddress address, uint key)
    {
        // The bytes of an IPv4 address are the highest of all: they are folded down before the last multiplication, which only carries upwards.
        var hash = ((address.RawUpper ^ key) * 0x9E3779B97F4A7C15) ^ address.RawLower;
        return (hash ^ (hash >> 32)) * 0xC2B2AE3D27D4EB4F;
    }

    /// <summary>First place of an endpoint in a table of <paramref name="mask"/> + 1 places.</summary>
    public static uint FirstPlace(ulong hash, uint mask) => (uint)(hash >> 32) & mask;

    /// <summary>Second place; of other bits than the first, so that keys that share one place rarely share both.</summary>
    public static uint SecondPlace(ulong hash, uint mask) => (uint)(hash >> 47) & mask;
}

/// <summary>Marks of a virtual endpoint.</summary>
[Flags]
public enum VipFlags : ushort
{
    /// <summary>None: affinity of connections.</summary>
    None = 0,
    /// <summary>Flows are not remembered: the ring alone decides.</summary>
    Untracked = 1,
    /// <summary>All connections of a client go to one backend.</summary>
    ByClient = 2,
    /// <summary>Only listed sources may begin connections.</summary>
    Restricted = 4,
    /// <summary>Range only: there is a range of the next rank.</summary>
    MoreRanges = 8,
    /// <summary>UDP only: packets whose QUIC connection id names a backend go to that one.</summary>
    Quic = 16,
    /// <summary>TCP in GUE or Geneve: a packet of a connection that is not known takes the former owner of its slot along.</summary>
    SecondChance = 32,
    /// <summary>Range only: a service that rewrites, whose entry is among <see cref="BalancerMaps.Services"/>.</summary>
    Rewritten = 64,
    /// <summary>Packets or new connections are limited.</summary>
    Limited = 128,
}

/// <summary>
/// What the program needs about a service when it chooses a backend. Layout: first row of the ring 4, slots of the ring 4, masks of the client's
/// address 8 and 8, length of QUIC server ids 1, QUIC configurations 1, zero 2, first row of who had the slots before 4.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public struct DirectService
{
    /// <summary>First row of the ring in <see cref="BalancerMaps.Ring"/>.</summary>
    public uint RingStart;

    /// <summary>Slots of the ring.</summary>
    public uint RingSlots;

    /// <summary>Bits of the first half of a client's address that count with affinity by client.</summary>
    public ulong ClientMaskUpper;

    /// <summary>Bits of the second half.</summary>
    public ulong ClientMaskLower;

    /// <summary>Bytes of a server id in a QUIC connection id, 1 to 15.</summary>
    public byte QuicIdLength;

    /// <summary>Configurations of QUIC connection ids that have such server ids, a bit each.</summary>
    public byte QuicConfigs;

    /// <summary>Zero.</summary>
    public ushort Reserved;

    /// <summary>First row of who had the slots of the ring before; 0 when nobody keeps it.</summary>
    public uint FormerStart;
}

/// <summary>
/// A source that may use a service. Layout: prefix length 4 (32 for the service, and up to 128 of the address), service 4, address 16.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
public readonly record struct SourceKey
{
    /// <summary>Bits that count.</summary>
    public readonly uint Length;

    /// <summary>Id of the service.</summary>
    public readonly uint Service;

    private readonly uint _a;
    private readonly uint _b;
    private readonly uint _c;
    private readonly uint _d;

    private SourceKey(uint length, uint service, in IpAddress address)
    {
        Length = length;
        Service = service;
        _a = (uint)address.RawUpper;
        _b = (uint)(address.RawUpper >> 32);
        _c = (uint)address.RawLower;
        _d = (uint)(address.RawLower >> 32);
    }

    /// <summary>Added to the id of a service: the prefixes are its backends.</summary>
    public const uint Backends = 1u << 31;

    /// <summary>The key that a program looks for.</summary>
    public static SourceKey Of(uint service, in IpAddress source) => new(160, service, in source);

    /// <summary>The key of a prefix.</summary>
    public static SourceKey Of(uint service, IpPrefix prefix) => new((uint)prefix.MappedLength + 32, service, prefix.Address);
}
