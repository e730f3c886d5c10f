using System.Runtime.InteropServices;

namespace Skep.Packets;

/// <summary>ICMP and ICMPv6 header, 8 bytes (RFC 792, RFC 4443): type 1, code 1, checksum 2, rest 4. Errors embed the offending packet after it.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct IcmpHeader
{
    /// <summary>Type; see <see cref="IcmpTypes"/> and <see cref="IcmpV6Types"/>.</summary>
    public byte Type;

    /// <summary>Code within the type.</summary>
    public byte Code;

    /// <summary>One's complement checksum over the message; over pseudo header and message in ICMPv6.</summary>
    public NetworkUInt16 Checksum;

    /// <summary>Depends on the type: identifier and sequence, next-hop MTU, gateway.</summary>
    public NetworkUInt32 Rest;
}

/// <summary>Types of ICMP messages (RFC 792).</summary>
public static class IcmpTypes
{
    /// <summary>Echo reply.</summary>
    public const byte EchoReply = 0;
    /// <summary>Destination unreachable; code 4 is "fragmentation needed".</summary>
    public const byte DestinationUnreachable = 3;
    /// <summary>Echo request.</summary>
    public const byte EchoRequest = 8;
    /// <summary>Time exceeded.</summary>
    public const byte TimeExceeded = 11;
    /// <summary>Parameter problem.</summary>
    public const byte ParameterProblem = 12;

    /// <summary>Code of <see cref="DestinationUnreachable"/>: nobody listens at the port.</summary>
    public const byte PortUnreachable = 3;

    /// <summary>Whether messages of the type embed the packet that caused them.</summary>
    public static bool IsError(byte type) => type is DestinationUnreachable or TimeExceeded or ParameterProblem;
}

/// <summary>Types of ICMPv6 messages (RFC 4443, RFC 4861).</summary>
public static class IcmpV6Types
{
    /// <summary>Destination unreachable.</summary>
    public const byte DestinationUnreachable = 1;
    /// <summary>Packet too big; the rest of the header is the MTU.</summary>
    public const byte PacketTooBig = 2;
    /// <summary>Time exceeded.</summary>
    public const byte TimeExceeded = 3;
    /// <summary>Parameter problem.</summary>
    public const byte ParameterProblem = 4;
    /// <summary>Echo request.</summary>
    public const byte EchoRequest = 128;
    /// <summary>Echo reply.</summary>
    public const byte EchoReply = 129;
    /// <summary>Neighbor solicitation.</summary>
    public const byte NeighborSolicitation = 135;
    /// <summary>Neighbor advertisement.</summary>
    public const byte NeighborAdvertisement = 136;

    /// <summary>Code of <see cref="DestinationUnreachable"/>: nobody listens at the port.</summary>
    public const byte PortUnreachable = 4;

    /// <summary>Whether messages of the type embed the packet that caused them.</summary>
    public static bool IsError(byte type) => type - 1u < 4u;
}
