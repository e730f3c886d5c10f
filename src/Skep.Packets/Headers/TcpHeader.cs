using System.Runtime.InteropServices;

namespace Skep.Packets;

/// <summary>
/// TCP header without options, 20 bytes (RFC 9293): ports 2+2, sequence 4, acknowledgment 4, data offset 1, flags 1, window 2, checksum 2, urgent 2.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct TcpHeader
{
    /// <summary>Port of the sender.</summary>
    public NetworkUInt16 SourcePort;

    /// <summary>Port of the receiver.</summary>
    public NetworkUInt16 DestinationPort;

    /// <summary>Sequence number of the first byte.</summary>
    public NetworkUInt32 Sequence;

    /// <summary>Next sequence number expected from the other side.</summary>
    public NetworkUInt32 Acknowledgment;

    /// <summary>Header length in 32-bit words in the upper half; reserved bits below.</summary>
    public byte DataOffset;

    /// <summary>Control bits.</summary>
    public TcpFlags Flags;

    /// <summary>Receive window, unscaled.</summary>
    public NetworkUInt16 Window;

    /// <summary>One's complement checksum over pseudo header, header and data.</summary>
    public NetworkUInt16 Checksum;

    /// <summary>Urgent pointer.</summary>
    public NetworkUInt16 UrgentPointer;

    /// <summary>Header length in bytes as the header claims it: 0-60, below 20 is malformed.</summary>
    public readonly uint HeaderLength => (uint)(DataOffset & 0xF0) >> 2;
}

/// <summary>Control bits of TCP (RFC 9293 section 3.1, RFC 3168).</summary>
[Flags]
public enum TcpFlags : byte
{
    /// <summary>None.</summary>
    None = 0,
    /// <summary>No more data from the sender.</summary>
    Fin = 1,
    /// <summary>Synchronise sequence numbers.</summary>
    Syn = 2,
    /// <summary>Reset.</summary>
    Rst = 4,
    /// <summary>Push.</summary>
    Psh = 8,
    /// <summary>The acknowledgment number counts.</summary>
    Ack = 16,
    /// <summary>The urgent pointer counts.</summary>
    Urg = 32,
    /// <summary>ECN echo.</summary>
    Ece = 64,
    /// <summary>Congestion window reduced.</summary>
    Cwr = 128,
}
