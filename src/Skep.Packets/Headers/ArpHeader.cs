using System.Runtime.InteropServices;

namespace Skep.Packets;

/// <summary>ARP for IPv4 over Ethernet, 28 bytes (RFC 826).</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct ArpHeader
{
    /// <summary>1 for Ethernet.</summary>
    public NetworkUInt16 HardwareType;

    /// <summary>EtherType of the addresses.</summary>
    public NetworkUInt16 ProtocolType;

    /// <summary>6 for Ethernet.</summary>
    public byte HardwareLength;

    /// <summary>4 for IPv4.</summary>
    public byte ProtocolLength;

    /// <summary>1 request, 2 reply.</summary>
    public NetworkUInt16 Operation;

    /// <summary>Ethernet address of the sender.</summary>
    public MacAddress SenderMac;

    /// <summary>IPv4 address of the sender.</summary>
    public NetworkUInt32 SenderAddress;

    /// <summary>Ethernet address of the target; zero in requests.</summary>
    public MacAddress TargetMac;

    /// <summary>IPv4 address of the target.</summary>
    public NetworkUInt32 TargetAddress;
}
