using System.Runtime.InteropServices;

namespace Skep.Packets;

/// <summary>
/// IPv4 header without options, 20 bytes (RFC 791): version and length 1, type of service 1, total length 2, identification 2,
/// flags and fragment offset 2, time to live 1, protocol 1, checksum 2, source 4, destination 4.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct IPv4Header
{
    /// <summary>Version (4) in the upper half, header length in 32-bit words (5-15) in the lower.</summary>
    public byte VersionIhl;

    /// <summary>Differentiated services 6 bits, ECN 2 bits.</summary>
    public byte TypeOfService;

    /// <summary>Bytes of header and payload.</summary>
    public NetworkUInt16 TotalLength;

    /// <summary>Identification; fragments of one packet share it.</summary>
    public NetworkUInt16 Identification;

    /// <summary>Flags 3 bits (reserved, don't fragment, more fragments), offset in units of 8 bytes 13 bits.</summary>
    public NetworkUInt16 FlagsOffset;

    /// <summary>Hops left.</summary>
    public byte TimeToLive;

    /// <summary>What follows.</summary>
    public IpProtocol Protocol;

    /// <summary>One's complement checksum of the header.</summary>
    public NetworkUInt16 Checksum;

    /// <summary>Sender.</summary>
    public NetworkUInt32 Source;

    /// <summary>Receiver.</summary>
    public NetworkUInt32 Destination;

    /// <summary>Header length in bytes as the header claims it: 0-60, below 20 is malformed.</summary>
    public readonly uint HeaderLength => (VersionIhl & 15u) << 2;

    /// <summary>Whether version is 4 and the header is at least 20 bytes long.</summary>
    public readonly bool IsValid => VersionIhl - 0x45u <= 10u;

    /// <summary>Whether this is a fragment: more of them follow, or it is not the first.</summary>
    public readonly bool IsFragment => (FlagsOffset.Raw & 0xFF3F) != 0;

    /// <summary>Which part of a fragmented packet this is.</summary>
    public readonly FragmentKind Fragment
    {
        get
        {
            var flags = FlagsOffset.Raw;
            // Raw order: the low byte is the first on the wire. One test decides the common case.
            if ((flags & 0xFF3F) == 0)
            {
                return FragmentKind.None;
            }

            return (flags & 0xFF1F) == 0 ? FragmentKind.First : FragmentKind.Later;
        }
    }
}
