using System.Runtime.InteropServices;

namespace Skep.Packets;

/// <summary>
/// IPv6 header, 40 bytes (RFC 8200): version, class and flow label 4, payload length 2, next header 1, hop limit 1, source 16, destination 16.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct IPv6Header
{
    /// <summary>Version 4 bits (6), traffic class 8, flow label 20.</summary>
    public NetworkUInt32 VersionClassFlow;

    /// <summary>Bytes after this header, extension headers included.</summary>
    public NetworkUInt16 PayloadLength;

    /// <summary>What follows.</summary>
    public IpProtocol NextHeader;

    /// <summary>Hops left.</summary>
    public byte HopLimit;

    /// <summary>Sender.</summary>
    public IpAddress Source;

    /// <summary>Receiver.</summary>
    public IpAddress Destination;

    /// <summary>Whether the version is 6.</summary>
    public readonly bool IsValid => (VersionClassFlow.Raw & 0xF0u) == 0x60u;
}
