using System.Runtime.CompilerServices;
using Skep.Bpf.Features;
using Skep.Bpf.Programming;
using Skep.Edge;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// At traffic control, for devices that hand over super-packets: these stay whole, their segments as long as before, and a checksum that the device is to finish stays
/// its business, because it lies behind what is taken off.
/// </summary>
internal sealed unsafe partial class DecapsulationStage
{
    // To say that the family changes, which older kernels cannot be told.
    private static readonly Version s_familyChanges = new(6, 3);

    private readonly bool _tellsFamily = FeatureProbe.RunningKernel >= s_familyChanges;

    /// <summary>Takes the outer headers off.</summary>
    /// <param name="context">The packet.</param>
    /// <param name="packet">Its outer headers; dead afterwards.</param>
    /// <param name="data">Its first byte.</param>
    /// <param name="end">One past its last directly readable byte.</param>
    /// <param name="hasEthernetHeader">Whether it begins with an Ethernet header.</param>
    /// <param name="action">What becomes of it, unless the verdict drops it.</param>
    internal EdgeVerdict Run(ref TcContext context, in IpPacket packet, byte* data, byte* end, bool hasEthernetHeader, ref TcAction action)
    {
        var verdict = Judge(in packet, data, end, out var outer);
        if (verdict != EdgeVerdict.Decapsulated)
        {
            return verdict;
        }

        if (_sentOn is not null && outer.Option != 0 && _sentOn.Forward(ref context, outer.Option, outer.Offset, outer.Where) is var sent and not 0)
        {
            action = (TcAction)(int)(sent >> 32);
            return (EdgeVerdict)(uint)sent;
        }

        var isIPv6 = outer.IsIPv6;
        var flags = RoomFlags.FixedSegments;
        if (_tellsFamily)
        {
            flags |= isIPv6 ? RoomFlags.DecapsulatesToIPv6 : RoomFlags.DecapsulatesToIPv4;
        }
        else if (isIPv6 != packet.IsIPv6)
        {
            return EdgeVerdict.TunnelRefused;
        }

        var difference = 0u;
        if (outer.IsCongested && !TryMark(data + (nuint)(outer.Offset & 0x3ff), end, isIPv6, out difference))
        {
            return EdgeVerdict.TunnelRefused;
        }

        if (difference != 0)
        {
            // A sum that the device made covers it; a packet without one stays without.
            context.ChecksumUpdate(difference);
        }

        if (context.AdjustRoom(-(int)(outer.Offset - outer.Link), RoomMode.BehindLinkHeader, flags) != 0)
        {
            return EdgeVerdict.TunnelRefused;
        }

        if (hasEthernetHeader)
        {
            var start = context.Data;
            if (start + sizeof(EthernetHeader) > context.DataEnd)
            {
                return EdgeVerdict.TunnelRefused;
            }

            ((EthernetHeader*)start)->EtherType = isIPv6 ? EtherTypes.IPv6 : EtherTypes.IPv4;
        }

        return EdgeVerdict.Decapsulated;
    }
}
