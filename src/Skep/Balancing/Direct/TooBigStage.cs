using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// Kernel half: a packet that does not fit into the path to its backend with the outer headers, and must not be cut, is answered as a router would: ICMP
/// "fragmentation needed" (RFC 1191) or ICMPv6 "packet too big" (RFC 4443 section 3.2), from the virtual address to the client, out of the interface it came in by.
/// The answer is always shorter than the packet.
/// </summary>
internal sealed unsafe class TooBigStage
{
    // Bytes of the packet that the answer embeds: any IPv4 header and the eight bytes behind it; the IPv6 header and what usually follows.
    private const uint Embedded4 = 68;
    private const uint Embedded6 = 128;
    private const uint MacsLength = 12;

    /// <summary>Turns the packet into the answer: a function of its own, walked once by the verifier.</summary>
    /// <param name="context">The packet.</param>
    /// <param name="link">Bytes before its IP header.</param>
    /// <param name="mtu">What fits.</param>
    /// <param name="family">4 or 6.</param>
    /// <returns>1, or 0 when the frame is too short or has no room.</returns>
    [GlobalFunction]
    internal int Answer(ref XdpContext context, uint link, uint mtu, uint family)
    {
        // Of whichever family, without a branch: one state for the verifier.
        var isIPv6 = (family >> 1) & 1;
        var message = (uint)(sizeof(IPv4Header) + sizeof(IcmpHeader)) + (isIPv6 * (uint)(sizeof(IPv6Header) - sizeof(IPv4Header)));
        var embedded = Embedded4 + (isIPv6 * (Embedded6 - Embedded4));
        var before = (uint)(context.DataEnd - context.Data);
        if (before < link + embedded || context.AdjustTail((int)(link + embedded) - (int)before) != 0 || context.AdjustHead(-(int)message) != 0)
        {
            return 0;
        }

        var start = context.Data;
        var end = context.DataEnd;
        if (!TryTurnLinkHeader(start, end, message, link))
        {
            return 0;
        }

        var network = start + (nuint)(Verifier.Forget(link, before) & 31);
        return (family == 6 ? TryWriteIPv6(network, end, mtu) : TryWriteIPv4(network, end, mtu)) ? 1 : 0;
    }

    // The frame goes back where it came from, tags and all.
    private static bool TryTurnLinkHeader(byte* start, byte* end, uint message, uint link)
    {
        var old = start + (nuint)(message & 63);
        if (start + MacsLength + 10 > end || old + MacsLength + 10 > end)
        {
            return false;
        }

        var (receiver, sender) = (*(MacAddress*)old, *(MacAddress*)(old + MacAddress.Size));
        *(MacAddress*)start = sender;
        *(MacAddress*)(start + MacAddress.Size) = receiver;
        Unsafe.WriteUnaligned(start + MacsLength, Unsafe.ReadUnaligned<ushort>(old + MacsLength));
        if (link > MacsLength + 2)
        {
            Unsafe.WriteUnaligned(start + MacsLength + 2, Unsafe.ReadUnaligned<uint>(old + MacsLength + 2));
        }

        if (link > MacsLength + 6)
        {
            Unsafe.WriteUnaligned(start + MacsLength + 6, Unsafe.ReadUnaligned<uint>(old + MacsLength + 6));
        }

        return true;
    }

    private static bool TryWriteIPv4(byte* at, byte* end, uint mtu)
    {
        const int total = 20 + 8 + (int)Embedded4;
        if (at + total > end)
        {
            return false;
        }

        var original = (IPv4Header*)(at + 28);
        var ip = (IPv4Header*)at;
        ip->VersionIhl = 0x45;
        ip->TypeOfService = 0;
        ip->TotalLength = NetworkUInt16.From(total);
        ip->Identification = NetworkUInt16.FromRaw(0);
        ip->FlagsOffset = NetworkUInt16.From(0x4000);
        ip->TimeToLive = 64;
        ip->Protocol = IpProtocol.Icmp;
        ip->Source = original->Destination;
        ip->Destination = original->Source;
        ip->Checksum = NetworkUInt16.FromRaw(0);
        ip->Checksum = Complement(Sum(at, 20));
        var icmp = (IcmpHeader*)(at + 20);
        icmp->Type = IcmpTypes.DestinationUnreachable;
        icmp->Code = 4;
        icmp->Checksum = NetworkUInt16.FromRaw(0);
        icmp->Rest = NetworkUInt32.FromRaw(BinaryPrimitives.ReverseEndianness(mtu));
        icmp->Checksum = Complement(Sum(at + 20, 8 + (int)Embedded4));
        return true;
    }

    private static bool TryWriteIPv6(byte* at, byte* end, uint mtu)
    {
        const int length = 8 + (int)Embedded6;
        if (at + 40 + length > end)
        {
            return false;
        }

        var original = (IPv6Header*)(at + 48);
        var ip = (IPv6Header*)at;
        ip->VersionClassFlow = NetworkUInt32.FromRaw(0x60);
        ip->PayloadLength = NetworkUInt16.From(length);
        ip->NextHeader = IpProtocol.IcmpV6;
        ip->HopLimit = 64;
        ip->Source = original->Destination;
        ip->Destination = original->Source;
        var icmp = (IcmpHeader*)(at + 40);
        icmp->Type = IcmpV6Types.PacketTooBig;
        icmp->Code = 0;
        icmp->Checksum = NetworkUInt16.FromRaw(0);
        icmp->Rest = NetworkUInt32.FromRaw(BinaryPrimitives.ReverseEndianness(mtu));
        var pseudo = NetworkUInt16.From(length).Raw + ((uint)IpProtocol.IcmpV6 << 8);
        icmp->Checksum = Complement(Sum(at + 8, 32 + length) + pseudo);
        return true;
    }

    private static NetworkUInt16 Complement(ulong sum) => NetworkUInt16.FromRaw((ushort)~InternetChecksum.Fold(sum));

    // A constant number of bytes, a multiple of four; many words at a time, because the verifier walks every round.
    private static ulong Sum(byte* at, int bytes)
    {
        var sum = 0UL;
        var i = 0;
        for (; i + 32 <= bytes; i += 32)
        {
            sum += SumOf16(at + i) + SumOf16(at + i + 16);
        }

        for (; i + 16 <= bytes; i += 16)
        {
            sum += SumOf16(at + i);
        }

        for (; i < bytes; i += 4)
        {
            sum += Unsafe.ReadUnaligned<uint>(at + i);
        }

        return sum;
    }

    private static ulong SumOf16(byte* at) =>
        (ulong)Unsafe.ReadUnaligned<uint>(at) + Unsafe.ReadUnaligned<uint>(at + 4) + Unsafe.ReadUnaligned<uint>(at + 8) + Unsafe.ReadUnaligned<uint>(at + 12);
}
