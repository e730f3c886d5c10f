using System.Runtime.CompilerServices;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>Kernel half: what the outer headers need to know of a packet, read before it moves.</summary>
internal unsafe struct InnerPacket
{
    /// <summary>Bytes from its IP header on, as the header says.</summary>
    internal uint Length;

    /// <summary>DSCP 6 bits and ECN 2 bits (RFC 6040: copied both).</summary>
    internal uint TrafficClass;

    /// <summary>
    /// Identification and the don't-fragment bit, as they lie in an IPv4 header: a packet that may be fragmented stays so (RFC 2003 section 3.1). For IPv6 the
    /// bit alone.
    /// </summary>
    internal uint RawFragmentWord;

    /// <summary>Bytes of Ethernet header and tags before it.</summary>
    internal uint LinkLength;

    private const uint DontFragment = 0x0040_0000;

    /// <summary>Whether it is IPv6.</summary>
    internal bool IsIPv6;

    /// <summary>
    /// Reads it; false when its length is not that of the frame. Its family too, which the verifier follows no further back than to here: whatever the family, it walks once what
    /// led here.
    /// </summary>
    internal static bool TryRead(byte* network, byte* data, byte* end, out InnerPacket inner)
    {
        inner = default;
        if (network + sizeof(IPv4Header) > end)
        {
            return false;
        }

        var isIPv6 = (*network & 0xF0) == 0x60;
        inner.IsIPv6 = isIPv6;
        inner.LinkLength = (uint)(network - data);
        var available = (ulong)(end - network);
        if (isIPv6)
        {
            var header = (IPv6Header*)network;
            if (network + sizeof(IPv6Header) > end)
            {
                return false;
            }

            inner.Read(header);
        }
        else
        {
            var header = (IPv4Header*)network;
            inner.Read(header);
            if (inner.Length < header->HeaderLength)
            {
                return false;
            }
        }

        return inner.Length <= available;
    }

    /// <summary>Reads a packet of plain shape in a frame of <paramref name="length"/> bytes; false when its length is not that of the frame.</summary>
    internal static bool TryReadPlain(in IpPacket packet, uint length, out InnerPacket inner)
    {
        inner = default;
        inner.LinkLength = (uint)sizeof(EthernetHeader);
        inner.IsIPv6 = packet.IsIPv6;
        if (packet.IsIPv6)
        {
            inner.Read((IPv6Header*)packet.Network);
        }
        else
        {
            inner.Read((IPv4Header*)packet.Network);
            if (inner.Length < sizeof(IPv4Header))
            {
                return false;
            }
        }

        return inner.Length + inner.LinkLength <= length;
    }

    private void Read(IPv4Header* header)
    {
        Length = header->TotalLength.Value;
        TrafficClass = header->TypeOfService;
        RawFragmentWord = Unsafe.ReadUnaligned<uint>(&header->Identification) & (DontFragment | 0xFFFF);
    }

    private void Read(IPv6Header* header)
    {
        Length = (uint)header->PayloadLength.Value + (uint)sizeof(IPv6Header);
        TrafficClass = ((header->VersionClassFlow.Raw << 4) | ((header->VersionClassFlow.Raw >> 12) & 15)) & 0xFF;
        RawFragmentWord = DontFragment;
    }

    /// <summary>Whether the packet may be cut into fragments on its way.</summary>
    internal readonly bool MayBeFragmented => (RawFragmentWord & DontFragment) == 0;

    /// <summary>
    /// The sum of the packet as 16-bit words, from its checksums alone: what is right sums up to the complement of its pseudo header. No pass over the payload.
    /// False where no checksum covers the packet: fragments, UDP without one, other protocols, extension headers.
    /// </summary>
    internal readonly bool TrySum(byte* network, byte* end, in Delivery delivery, bool isSummed, out ulong sum)
    {
        sum = 0;
        if (!isSummed)
        {
            return false;
        }

        // Of this packet alone: the flow in an ICMP error would be another, but that has no sum.
        var protocol = delivery.Key.Protocol;
        var header = IsIPv6 ? (uint)sizeof(IPv6Header) : ((IPv4Header*)network)->HeaderLength;
        var segment = Length - header;
        if (protocol == (uint)IpProtocol.Udp)
        {
            var udp = (UdpHeader*)(network + header);
            if (network + header + sizeof(UdpHeader) > end || udp->Checksum.Raw == 0 || udp->Length.Value != segment)
            {
                return false;
            }
        }

        if (IsIPv6)
        {
            // Addresses and length stand in the header and in the pseudo header with opposite signs.
            var ip = (IPv6Header*)network;
            sum = (ip->VersionClassFlow.Raw & 0xFFFF) + (ip->VersionClassFlow.Raw >> 16) + (protocol | ((uint)ip->HopLimit << 8))
                + (ushort)~(protocol << 8);
        }
        else
        {
            // The header with its checksum sums up to nothing.
            sum = (ushort)~InternetChecksum.Fold(
                (ulong)delivery.Key.Source.RawIPv4 + delivery.Key.Destination.RawIPv4 + (protocol << 8) + NetworkUInt16.From((ushort)segment).Raw);
        }

        return true;
    }
}
