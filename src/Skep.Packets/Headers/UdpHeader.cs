using System.Runtime.InteropServices;

namespace Skep.Packets;

/// <summary>UDP header, 8 bytes (RFC 768): ports 2+2, length 2, checksum 2.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct UdpHeader
{
    /// <summary>Port of the sender.</summary>
    public NetworkUInt16 SourcePort;

    /// <summary>Port of the receiver.</summary>
    public NetworkUInt16 DestinationPort;

    /// <summary>Bytes of header and data.</summary>
    public NetworkUInt16 Length;

    /// <summary>One's complement checksum; 0 over IPv4 means none was computed.</summary>
    public NetworkUInt16 Checksum;
}
