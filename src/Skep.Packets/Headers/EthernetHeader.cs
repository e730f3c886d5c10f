using System.Runtime.InteropServices;

namespace Skep.Packets;

/// <summary>Ethernet II header, 14 bytes: destination 6, source 6, EtherType 2.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct EthernetHeader
{
    /// <summary>Receiver.</summary>
    public MacAddress Destination;

    /// <summary>Sender.</summary>
    public MacAddress Source;

    /// <summary>What follows; see <see cref="EtherTypes"/>.</summary>
    public NetworkUInt16 EtherType;
}
