using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>Headers behind UDP, and its checksum.</summary>
internal sealed unsafe partial class Encapsulator
{
    /// <summary>Class of our Geneve options, in the experimental range (RFC 8926 section 7).</summary>
    internal const ushort OptionClass = 0xFF53;

    /// <summary>Type of the option with port 2, protocol 1, zero 1, virtual address 16; an IPv4 address in its mapped form.</summary>
    internal const byte VipOption = 1;

    private const uint GeneveLength = 8 + 4 + 4 + IpAddress.Size;

    /// <summary>Type of the option with hops that are left 1, zero 3, address of the second hop 16; with GUE it is the private data.</summary>
    internal const byte HopOption = 2;

    /// <summary>Bytes of each of our options.</summary>
    internal const uint OptionLength = 4 + 4 + IpAddress.Size;

    /// <summary>Bytes that a second hop adds to the outer headers.</summary>
    internal static uint HopOverheadOf(in Way way) => way.Mode == ForwardingMode.Gue ? (uint)sizeof(GueHeader) + OptionLength : OptionLength;

    /// <summary>Sends the packet to a backend in UDP, with a second hop. <paramref name="network"/> and <paramref name="end"/> are dead afterwards.</summary>
    /// <returns>False when there is no room for the headers or no way to the backend.</returns>
    internal bool SendByHop(
        ref XdpContext context, ref Tunnel tunnel, in Way way, byte* network, in InnerPacket inner, byte* end, in Delivery delivery, in IpAddress hop, ref XdpAction action)
    {
        action = ActionOf(ref context, in way);
        var isSummed = (delivery.Marks & DeliveryMarks.Summed) != 0;
        return way.Mode == ForwardingMode.Geneve
            ? SendInUdp(ref context, ref tunnel, in way, network, in inner, end, in delivery, isSummed, isGeneve: true, hasHop: true, in hop)
            : SendInUdp(ref context, ref tunnel, in way, network, in inner, end, in delivery, isSummed, isGeneve: false, hasHop: true, in hop);
    }

    private bool SendInUdp(
        ref XdpContext context, ref Tunnel tunnel, in Way way, byte* network, in InnerPacket inner, byte* end, in Delivery delivery, bool isSummed,
        bool isGeneve, bool hasHop, in IpAddress hop)
    {
        var shim = (isGeneve ? GeneveLength : hasHop ? (uint)sizeof(GueHeader) : 0) + (hasHop ? OptionLength : 0);
        var isIPv6 = inner.IsIPv6;
        var length = inner.Length + (uint)sizeof(UdpHeader) + shim;
        if (way.IsIPv6)
        {
            // The sum of the packet is read while its headers can be.
            var hasSum = inner.TrySum(network, end, in delivery, isSummed, out var sum);
            if (!TryOpen(ref context, ref tunnel, in way, in inner, (uint)(sizeof(IPv6Header) + sizeof(UdpHeader)) + shim, out var outer))
            {
                return false;
            }

            WriteIPv6(outer, ref tunnel, in inner, length, IpProtocol.Udp, delivery.Hash);
            var udp = outer + sizeof(IPv6Header);
            sum += WriteShim(udp + sizeof(UdpHeader), isIPv6, in delivery, isGeneve, hasHop, in hop);
            var rawLength = (uint)BinaryPrimitives.ReverseEndianness((ushort)length);
            var ports = PortsOf(delivery.Hash, isGeneve);
            var checksum = 0u;
            if (hasSum)
            {
                checksum = InternetChecksum.Fold(sum + tunnel.PseudoSum + (ports & 0xFFFF) + (ports >> 16) + (2 * rawLength)) ^ 0xFFFFu;
                checksum = checksum == 0 ? 0xFFFF : checksum;
            }

            Unsafe.WriteUnaligned(udp, ports);
            Unsafe.WriteUnaligned(udp + 4, rawLength | (checksum << 16));
        }
        else
        {
            if (!TryOpen(ref context, ref tunnel, in way, in inner, (uint)(sizeof(IPv4Header) + sizeof(UdpHeader)) + shim, out var outer))
            {
                return false;
            }

            WriteIPv4(outer, ref tunnel, in inner, length + (uint)sizeof(IPv4Header), IpProtocol.Udp);
            var udp = outer + sizeof(IPv4Header);
            WriteShim(udp + sizeof(UdpHeader), isIPv6, in delivery, isGeneve, hasHop, in hop);
            Unsafe.WriteUnaligned(udp, PortsOf(delivery.Hash, isGeneve));
            Unsafe.WriteUnaligned(udp + 4, (uint)BinaryPrimitives.ReverseEndianness((ushort)length));
        }

        return true;
    }

    // Source ports 49152 to 65535 by the flow's hash (RFC 8926 section 3.3).
    private static uint PortsOf(ulong hash, bool isGeneve) =>
        ((uint)hash & 0xFF3F) | 0xC0 | ((uint)NetworkUInt16.From(isGeneve ? GeneveHeader.Port : GueHeader.Port).Raw << 16);

    /// <summary>Writes what stands between UDP and the packet, and gives its sum as 16-bit words, not folded.</summary>
    private static ulong WriteShim(byte* at, bool isIPv6, in Delivery delivery, bool isGeneve, bool hasHop, in IpAddress hop)
    {
        if (!isGeneve)
        {
            return hasHop
                ? Write(at, (OptionLength / 4) | ((uint)(isIPv6 ? IpProtocol.IPv6 : IpProtocol.IPv4) << 8)) + WriteHop(at + sizeof(GueHeader), in hop)
                : 0;
        }

        var options = (GeneveLength - 8 + (hasHop ? OptionLength : 0)) / 4;
        var type = (uint)(isIPv6 ? EtherTypes.IPv6 : EtherTypes.IPv4).Raw;
        return Write(at, options | (type << 16)) + Write(at + 4, 0)
            + Write(at + 8, OptionStart(VipOption, 4 + IpAddress.Size))
            + Write(at + 12, (delivery.Key.RawPorts >> 16) | (delivery.Key.Protocol << 16))
            + Write(at + 16, in delivery.Key.Destination)
            + (hasHop ? WriteHop(at + GeneveLength, in hop) : 0);
    }

    // One hop is left: who sends the packet on takes it off.
    private static ulong WriteHop(byte* at, in IpAddress hop) => Write(at, HopStart) + Write(at + 4, 1) + Write(at + 8, in hop);

    /// <summary>How the option with a second hop begins, as loaded.</summary>
    internal static uint HopStart => OptionStart(HopOption, 4 + IpAddress.Size);

    private static uint OptionStart(byte type, int bytes) =>
        NetworkUInt16.From(OptionClass).Raw | ((uint)type << 16) | ((uint)(bytes / 4) << 24);

    private static ulong Write(byte* at, uint word)
    {
        Unsafe.WriteUnaligned(at, word);
        return word;
    }

    private static ulong Write(byte* at, in IpAddress address)
    {
        Unsafe.WriteUnaligned(at, address);
        return InternetChecksum.Words(address.RawUpper) + InternetChecksum.Words(address.RawLower);
    }
}
