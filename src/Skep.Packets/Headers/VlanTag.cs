using System.Runtime.InteropServices;

namespace Skep.Packets;

/// <summary>What follows the EtherType of a tagged frame, 4 bytes: tag control information 2, EtherType 2 (802.1Q).</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct VlanTag
{
    /// <summary>Priority 3 bits, drop eligible 1 bit, VLAN id 12 bits.</summary>
    public NetworkUInt16 Control;

    /// <summary>What follows the tag.</summary>
    public NetworkUInt16 EtherType;

    /// <summary>VLAN id, 0-4095.</summary>
    public readonly ushort VlanId => (ushort)(Control.Value & 0x0FFF);

    /// <summary>Priority code point, 0-7.</summary>
    public readonly byte Priority => (byte)(Control.Value >> 13);
}
