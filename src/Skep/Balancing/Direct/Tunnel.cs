using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// Everything that is written in front of a packet on its way to a backend, worked out beforehand; under the backend's id.
/// <code>
/// 0 destination MAC and first two bytes of the source MAC:8   8 rest of the source MAC:4   12 EtherType:2   14 VLAN tag:2
/// 16 interface:4   20 owner:4   24 room:2   26 sum of the IPv4 header's fixed part:2   28 sum of the UDP pseudo header's fixed part:2
/// 30 mode:1   31 flags:1   32 source:16   48 destination:16
/// </code>
/// 64 bytes: one line of the processor's cache, which the map's alignment to pages makes it.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public struct Tunnel
{
    /// <summary>Ethernet address of the next hop and the first two bytes of the sender's, as the processor loads them.</summary>
    public ulong RawMacs;

    /// <summary>The last four bytes of the sender's Ethernet address.</summary>
    public uint RawMacsEnd;

    /// <summary>What follows the Ethernet header: the family of the outer header.</summary>
    public NetworkUInt16 EtherType;

    /// <summary>VLAN tag that the frame leaves with, as it lies in the frame; 0 for none.</summary>
    public ushort RawVlan;

    /// <summary>Interface the frame leaves by; 0 when the next hop is not known, and the host's network stack routes the outer packet.</summary>
    public uint Interface;

    /// <summary>Id of the service plus one; 0 when the id is not taken.</summary>
    public uint Owner;

    /// <summary>Bytes that a packet may have at most on its way to the backend, without the outer headers; 0 when there is no way, or no room.</summary>
    public ushort Room;

    /// <summary>Sum of both outer IPv4 addresses as 16-bit words, folded.</summary>
    public ushort HeaderSum;

    /// <summary>Sum of both outer IPv6 addresses and the protocol UDP as 16-bit words, folded.</summary>
    public ushort PseudoSum;

    /// <summary>How packets travel.</summary>
    public ForwardingMode Mode;

    /// <summary>What else the program must know.</summary>
    public TunnelFlags Flags;

    /// <summary>Outer source.</summary>
    public IpAddress Source;

    /// <summary>Outer destination: the backend.</summary>
    public IpAddress Destination;

    /// <summary>An IPv4 source, read alone.</summary>
    internal readonly uint RawSourceIPv4 => LastWordOf(in Source);

    /// <summary>An IPv4 destination, read alone.</summary>
    internal readonly uint RawDestinationIPv4 => LastWordOf(in Destination);

    private static uint LastWordOf(in IpAddress address) => Unsafe.Add(ref Unsafe.As<IpAddress, uint>(ref Unsafe.AsRef(in address)), 3);

    /// <summary>The entry of a backend.</summary>
    /// <param name="service">Id of the service.</param>
    /// <param name="mode">How packets travel.</param>
    /// <param name="backend">The backend.</param>
    /// <param name="hop">The way there; null when there is none.</param>
    public static Tunnel Of(uint service, ForwardingMode mode, BackendModel backend, BackendPath? hop)
    {
        ArgumentNullException.ThrowIfNull(backend);
        var tunnel = new Tunnel
        {
            Owner = service + 1,
            Mode = mode,
            Flags = (backend.Address.IsIPv4 ? TunnelFlags.None : TunnelFlags.IPv6) | (backend.TakesConnections ? TunnelFlags.TakesConnections : TunnelFlags.None),
            EtherType = backend.Address.IsIPv4 ? EtherTypes.IPv4 : EtherTypes.IPv6,
            Destination = backend.Address,
        };
        if (hop is not { } way)
        {
            return tunnel;
        }

        var (source, destination) = (way.SourceAddress, backend.Address);
        Span<byte> macs = stackalloc byte[2 * MacAddress.Size];
        MemoryMarshal.Write(macs, way.Destination);
        MemoryMarshal.Write(macs[MacAddress.Size..], way.Source);
        tunnel.RawMacs = MemoryMarshal.Read<ulong>(macs);
        tunnel.RawMacsEnd = MemoryMarshal.Read<uint>(macs[sizeof(ulong)..]);
        tunnel.RawVlan = NetworkUInt16.From(way.VlanId).Raw;
        tunnel.Interface = (uint)way.Interface;
        tunnel.Room = (ushort)Math.Clamp(way.Mtu - Encapsulator.OverheadOf(mode, backend.Address.IsIPv4), 0, ushort.MaxValue);
        tunnel.Source = source;
        tunnel.HeaderSum = InternetChecksum.Fold((ulong)source.RawIPv4 + destination.RawIPv4);
        tunnel.PseudoSum = InternetChecksum.Fold(
            InternetChecksum.Words(source.RawUpper) + InternetChecksum.Words(source.RawLower)
            + InternetChecksum.Words(destination.RawUpper) + InternetChecksum.Words(destination.RawLower) + ((uint)IpProtocol.Udp << 8));
        return tunnel;
    }
}

/// <summary>Marks of a <see cref="Tunnel"/>.</summary>
[Flags]
public enum TunnelFlags : byte
{
    /// <summary>None.</summary>
    None = 0,
    /// <summary>The outer header is IPv6.</summary>
    IPv6 = 1,
    /// <summary>New connections may be given to the backend; without it a client that begins anew gets another one.</summary>
    TakesConnections = 2,
}
