using Skep.Balancing;

namespace Skep.Edge;

/// <summary>
/// Kernel half: what stages know of a packet beside its headers, whichever hook it came by. A view: the pointers die with the packet.
/// </summary>
internal unsafe struct EdgePacket
{
    /// <summary>First byte of the Ethernet header.</summary>
    public byte* Start;

    /// <summary>One past the last readable byte; at a traffic control hook the packet may go on behind it.</summary>
    public byte* End;

    /// <summary>Bytes of the whole packet as it lies here.</summary>
    public uint Length;

    /// <summary>Packets it was or will be on the wire; more than 1 for a super-packet.</summary>
    public uint Packets;

    /// <summary>Bytes that these have, Ethernet headers included.</summary>
    public uint Bytes;

    /// <summary>What remains to be done about the checksum.</summary>
    public ChecksumMend Mend;
}
