using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>Link and network headers.</summary>
internal sealed unsafe partial class Encapsulator
{
    private const uint HopLimit = 64;
    private const uint MacsLength = 12;
    private const uint TagLength = 4;

    /// <summary>Makes room for the outer headers and writes the link header. <paramref name="outer"/> is where the outer IP header begins; all of it may be written.</summary>
    private bool TryOpen(ref XdpContext context, ref Tunnel tunnel, in Way way, in InnerPacket inner, uint overhead, out byte* outer)
    {
        // Where the EtherType goes: as the frame came when the stack is to route it, else as the next hop wants it.
        var isTagged = way.RawVlan != 0;
        var position = way.Interface == 0 ? inner.LinkLength - 2 : isTagged ? MacsLength + TagLength : MacsLength;
        outer = null;
        if (context.AdjustHead(-(int)(overhead + position + 2 - inner.LinkLength)) != 0)
        {
            return false;
        }

        var start = context.Data;
        var end = context.DataEnd;
        var type = start + (nuint)(position & 31);
        if (start + MacsLength + TagLength > end || type + 2 + overhead > end)
        {
            return false;
        }

        if (way.Interface == 0)
        {
            if (!TryMoveLinkHeader(start, end, overhead, position))
            {
                return false;
            }
        }
        else
        {
            WriteMacs(start, ref tunnel);
            if (isTagged)
            {
                WriteTag(start, way.RawVlan);
            }
        }

        Unsafe.WriteUnaligned(type, tunnel.EtherType);
        outer = type + 2;
        return true;
    }

    /// <summary>The frame keeps the receiver it came with: this host, whose stack routes it on.</summary>
    private static bool TryMoveLinkHeader(byte* start, byte* end, uint overhead, uint position)
    {
        var old = start + overhead;
        if (old + MacsLength + (2 * TagLength) > end || start + MacsLength + (2 * TagLength) > end)
        {
            return false;
        }

        Unsafe.WriteUnaligned(start, Unsafe.ReadUnaligned<ulong>(old));
        Unsafe.WriteUnaligned(start + 8, Unsafe.ReadUnaligned<uint>(old + 8));
        if (position > MacsLength)
        {
            Unsafe.WriteUnaligned(start + MacsLength, Unsafe.ReadUnaligned<uint>(old + MacsLength));
        }

        if (position > MacsLength + TagLength)
        {
            Unsafe.WriteUnaligned(start + MacsLength + TagLength, Unsafe.ReadUnaligned<uint>(old + MacsLength + TagLength));
        }

        return true;
    }

    private bool SendOnLink(ref XdpContext context, ref Tunnel tunnel, in Way way, in InnerPacket inner)
    {
        // The virtual address would lead the stack nowhere.
        if (way.Interface == 0)
        {
            return false;
        }

        var isTagged = way.RawVlan != 0;
        var length = isTagged ? MacsLength + TagLength + 2 : MacsLength + 2;
        if (length != inner.LinkLength && context.AdjustHead((int)(inner.LinkLength - length)) != 0)
        {
            return false;
        }

        var start = context.Data;
        if (start + MacsLength + TagLength + 2 > context.DataEnd)
        {
            return false;
        }

        WriteMacs(start, ref tunnel);
        if (isTagged)
        {
            WriteTag(start, way.RawVlan);
            Unsafe.WriteUnaligned(start + MacsLength + TagLength, inner.IsIPv6 ? EtherTypes.IPv6 : EtherTypes.IPv4);
        }
        else
        {
            Unsafe.WriteUnaligned(start + MacsLength, inner.IsIPv6 ? EtherTypes.IPv6 : EtherTypes.IPv4);
        }

        return true;
    }

    private static void WriteMacs(byte* start, ref Tunnel tunnel)
    {
        Unsafe.WriteUnaligned(start, tunnel.RawMacs);
        Unsafe.WriteUnaligned(start + 8, tunnel.RawMacsEnd);
    }

    private static void WriteTag(byte* start, ushort rawVlan)
    {
        Unsafe.WriteUnaligned(start + MacsLength, EtherTypes.Vlan);
        Unsafe.WriteUnaligned(start + MacsLength + 2, rawVlan);
    }

    private static void WriteIPv4(byte* outer, ref Tunnel tunnel, in InnerPacket inner, uint total, IpProtocol protocol)
    {
        // Four words of 16 bits vary; the sum of the addresses is in the entry.
        var first = 0x45u | (inner.TrafficClass << 8) | ((uint)BinaryPrimitives.ReverseEndianness((ushort)total) << 16);
        var lifetime = HopLimit | ((uint)protocol << 8);
        var sum = tunnel.HeaderSum + lifetime + (first & 0xFFFF) + (first >> 16) + (inner.RawFragmentWord & 0xFFFF) + (inner.RawFragmentWord >> 16);
        sum = (sum & 0xFFFF) + (sum >> 16);
        sum = (sum & 0xFFFF) + (sum >> 16);
        Unsafe.WriteUnaligned(outer, first);
        Unsafe.WriteUnaligned(outer + 4, inner.RawFragmentWord);
        Unsafe.WriteUnaligned(outer + 8, lifetime | (~sum << 16));
        Unsafe.WriteUnaligned(outer + 12, tunnel.Source.RawIPv4);
        Unsafe.WriteUnaligned(outer + 16, tunnel.Destination.RawIPv4);
    }

    private static void WriteIPv6(byte* outer, ref Tunnel tunnel, in InnerPacket inner, uint payload, IpProtocol protocol, ulong hash)
    {
        // The flow label is the flow's hash (RFC 6438).
        var traffic = inner.TrafficClass;
        Unsafe.WriteUnaligned(outer, 0x60u | (traffic >> 4) | ((traffic & 15) << 12) | ((uint)hash & 0xFFFF0F00));
        Unsafe.WriteUnaligned(outer + 4, BinaryPrimitives.ReverseEndianness((ushort)payload) | ((uint)protocol << 16) | (HopLimit << 24));
        Unsafe.WriteUnaligned(outer + 8, tunnel.Source);
        Unsafe.WriteUnaligned(outer + 24, tunnel.Destination);
    }
}
