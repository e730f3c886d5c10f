using System.Buffers.Binary;
using System.Numerics;
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
        outer = null;
        var isTagged = way.RawVlan != 0;
        var link = isTagged ? MacsLength + TagLength + 2 : MacsLength + 2;
        if (way.Interface == 0)
        {
            // As the frame came: the stack is to route it.
            link = inner.LinkLength;
            if (MoveLinkHeader(ref context, overhead, link) == 0)
            {
                return false;
            }
        }
        else if (context.AdjustHead((int)(inner.LinkLength - link - overhead)) != 0)
        {
            return false;
        }

        var start = context.Data;
        var end = context.DataEnd;
        var position = link - 2;
        if (_vlans || way.Interface == 0)
        {
            // Of whatever length: one state for the verifier.
            position = (uint)Verifier.Forget(position, (ulong)(end - start)) & 31;
        }

        var type = start + (nuint)position;
        if (type + 2 + overhead > end || start + MacsLength + TagLength > end)
        {
            return false;
        }

        if (way.Interface != 0)
        {
            WriteLink(start, ref tunnel);
            if (isTagged)
            {
                WriteTag(start, way.RawVlan);
            }
        }

        if (_vlans || way.Interface == 0)
        {
            Unsafe.WriteUnaligned(type, tunnel.EtherType);
        }

        outer = type + 2;
        return true;
    }

    /// <summary>
    /// Makes room behind the link header of a frame, which keeps the receiver it came with: this host, whose stack routes it on. A function of its own, for as
    /// long as a next hop is not known.
    /// </summary>
    /// <param name="context">The frame.</param>
    /// <param name="overhead">Bytes of room.</param>
    /// <param name="link">Bytes of the link header.</param>
    /// <returns>1, or 0 when there is no room.</returns>
    [GlobalFunction]
    private static int MoveLinkHeader(ref XdpContext context, uint overhead, uint link)
    {
        const uint most = MacsLength + (2 * TagLength);
        if (context.AdjustHead(-(int)(overhead & 127)) != 0)
        {
            return 0;
        }

        var start = context.Data;
        var end = context.DataEnd;
        var old = start + (nuint)(overhead & 127);
        if (start + most > end || old + most > end)
        {
            return 0;
        }

        Unsafe.WriteUnaligned(start, Unsafe.ReadUnaligned<ulong>(old));
        Unsafe.WriteUnaligned(start + 8, Unsafe.ReadUnaligned<uint>(old + 8));
        if (link > MacsLength + 2)
        {
            Unsafe.WriteUnaligned(start + MacsLength, Unsafe.ReadUnaligned<uint>(old + MacsLength));
        }

        if (link > MacsLength + TagLength + 2)
        {
            Unsafe.WriteUnaligned(start + MacsLength + TagLength, Unsafe.ReadUnaligned<uint>(old + MacsLength + TagLength));
        }

        return 1;
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

    // As the entry has it, two bytes more than a header without a tag: an outer header is written over them.
    private static void WriteLink(byte* start, ref Tunnel tunnel)
    {
        Unsafe.WriteUnaligned(start, tunnel.RawMacs);
        Unsafe.WriteUnaligned(start + 8, Unsafe.As<uint, ulong>(ref tunnel.RawMacsEnd));
    }

    private static void WriteTag(byte* start, ushort rawVlan)
    {
        Unsafe.WriteUnaligned(start + MacsLength, EtherTypes.Vlan);
        Unsafe.WriteUnaligned(start + MacsLength + 2, rawVlan);
    }

    private static void WriteIPv4(byte* outer, ref Tunnel tunnel, in InnerPacket inner, uint total, IpProtocol protocol)
    {
        // What varies, and the sum of the addresses from the entry. The identification and the bit behind it may be added as one number: their places say nothing to the sum.
        var lifetime = HopLimit | ((uint)protocol << 8);
        var first = 0x45u | (inner.TrafficClass << 8);
        var length = (uint)BinaryPrimitives.ReverseEndianness((ushort)total);
        var sum = tunnel.HeaderSum + lifetime + first + length + inner.RawFragmentWord;

        // The upper half of what a number and the same with its halves exchanged add up to is the sum of both halves.
        sum = ~sum - BitOperations.RotateLeft(sum, 16);
        Unsafe.WriteUnaligned(outer, first | (length << 16));
        Unsafe.WriteUnaligned(outer + 4, inner.RawFragmentWord);
        Unsafe.WriteUnaligned(outer + 8, lifetime | (sum & 0xFFFF0000));
        Unsafe.WriteUnaligned(outer + 12, tunnel.RawSourceIPv4);
        Unsafe.WriteUnaligned(outer + 16, tunnel.RawDestinationIPv4);
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
