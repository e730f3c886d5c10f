using System.Runtime.InteropServices;

namespace Skep.Packets;

/// <summary>The one's complement checksum of IP, TCP, UDP and ICMP (RFC 1071).</summary>
public static class InternetChecksum
{
    /// <summary>Folds a sum of 16-bit or wider words to 16 bits; not complemented.</summary>
    public static ushort Fold(ulong sum)
    {
        sum = (sum & 0xFFFFFFFF) + (sum >> 32);
        sum = (sum & 0xFFFF) + ((sum >> 16) & 0xFFFF) + (sum >> 32);
        sum = (sum & 0xFFFF) + (sum >> 16);
        sum = (sum & 0xFFFF) + (sum >> 16);
        return (ushort)sum;
    }

    /// <summary>A 64-bit word as a sum of two 32-bit ones, which can be added up without losing carries.</summary>
    public static ulong Words(ulong word) => (word & 0xFFFFFFFF) + (word >> 32);

    /// <summary>Sum of the bytes as 16-bit words, an odd last byte padded with zero; not folded.</summary>
    public static ulong Sum(ReadOnlySpan<byte> bytes)
    {
        ulong sum = 0;
        while (bytes.Length >= 4)
        {
            sum += MemoryMarshal.Read<uint>(bytes);
            bytes = bytes[4..];
        }

        if (bytes.Length >= 2)
        {
            sum += MemoryMarshal.Read<ushort>(bytes);
            bytes = bytes[2..];
        }

        return bytes.Length == 0 ? sum : sum + bytes[0];
    }

    /// <summary>Checksum of the bytes; zero when they contain a right checksum already.</summary>
    public static NetworkUInt16 Compute(ReadOnlySpan<byte> bytes) => NetworkUInt16.FromRaw((ushort)~Fold(Sum(bytes)));

    /// <summary>
    /// Checksum of a TCP, UDP or ICMPv6 message with its pseudo header (RFC 9293 section 3.1, RFC 8200 section 8.1); zero when
    /// the message contains a right one already. The UDP rule about zero is the caller's.
    /// </summary>
    public static NetworkUInt16 ComputeTransport(IpAddress source, IpAddress destination, IpProtocol protocol, ReadOnlySpan<byte> message) =>
        NetworkUInt16.FromRaw((ushort)~Fold(PseudoHeader(source, destination, protocol, (uint)message.Length) + Sum(message)));

    /// <summary>Sum of a pseudo header; not folded. IPv4 and IPv6 have the same sum apart from the constant part of mapped addresses, which is left out.</summary>
    public static ulong PseudoHeader(IpAddress source, IpAddress destination, IpProtocol protocol, uint length)
    {
        var sum = (ulong)(ushort)((byte)protocol << 8)
            + System.Buffers.Binary.BinaryPrimitives.ReverseEndianness((ushort)length)
            + System.Buffers.Binary.BinaryPrimitives.ReverseEndianness((ushort)(length >> 16));
        return source.IsIPv4
            ? sum + source.RawIPv4 + destination.RawIPv4
            : sum + Words(source.RawUpper) + Words(source.RawLower) + Words(destination.RawUpper) + Words(destination.RawLower);
    }
}
