using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// A packet for a service and the backend it goes to: all that outer headers say of it beyond what the backend's entry holds. Functions of the program hand it on
/// by reference. Layout: flow 40, hash 8, backend 4, bytes before the IP header 4, marks 4, bytes before the transport header 4, fragment id 4, zero 4.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct Delivery
{
    /// <summary>Addresses and ports by which the service was found: the virtual address and port travel with Geneve.</summary>
    internal ConnectionKey Key;

    /// <summary>Hash of the flow: ports and labels of outer headers vary with it, so that routers and receive queues tell flows apart.</summary>
    internal ulong Hash;

    /// <summary>Id of the backend.</summary>
    internal uint Backend;

    /// <summary>Bytes of Ethernet header and tags.</summary>
    internal uint Link;

    /// <summary>What the packet is.</summary>
    internal DeliveryMarks Marks;

    /// <summary>Bytes before the header of TCP, UDP or ICMP.</summary>
    internal uint Transport;

    /// <summary><see cref="IpPacket.FragmentId"/>.</summary>
    internal uint FragmentId;

    /// <summary>Zero.</summary>
    internal uint Reserved;

    /// <summary>What headers say of a packet; its ports come later.</summary>
    internal void Describe(in IpPacket packet, byte* start)
    {
        Key.Source = packet.Source;
        Key.Destination = packet.Destination;
        Key.Protocol = (uint)packet.Protocol;
        Link = (uint)(packet.Network - start);
        Transport = (uint)(packet.Transport - start);
        FragmentId = packet.FragmentId;

        // Without a branch, for which the verifier would tell the kinds of packets apart until here: fragments are 0 for none, 1 for the first, 2 for later ones.
        var fragment = (uint)packet.Fragment;
        Marks = (DeliveryMarks)((Unsafe.BitCast<bool, byte>(packet.IsIPv6) * (uint)DeliveryMarks.IPv6) | ((fragment & 1) * (uint)DeliveryMarks.First) | ((fragment >> 1) * (uint)FlowPacketKind.Later));
    }

    /// <summary>The packet that was described: whatever headers led here, one state for the verifier. Nothing of it may be read unchecked.</summary>
    internal readonly IpPacket PacketAt(byte* start)
    {
        IpPacket packet;
        packet.Network = start + (nuint)(Link & 31);
        packet.Transport = start + (nuint)(Transport & 0x3FFF);
        packet.Source = Key.Source;
        packet.Destination = Key.Destination;
        packet.FragmentId = FragmentId;
        packet.Protocol = (IpProtocol)Key.Protocol;
        packet.Fragment = (Marks & DeliveryMarks.First) != 0 ? FragmentKind.First : IsLater ? FragmentKind.Later : FragmentKind.None;
        packet.IsIPv6 = (Marks & DeliveryMarks.IPv6) != 0;
        return packet;
    }

    /// <summary>Whether it is a later fragment.</summary>
    internal readonly bool IsLater => (FlowPacketKind)(Marks & DeliveryMarks.Kind) == FlowPacketKind.Later;
}

/// <summary>What a packet is that goes to a backend.</summary>
[Flags]
internal enum DeliveryMarks : uint
{
    /// <summary>Bits of a <see cref="FlowPacketKind"/>.</summary>
    Kind = 7,
    /// <summary>It is IPv6.</summary>
    IPv6 = 8,
    /// <summary>Its flow was given the backend just now.</summary>
    New = 16,
    /// <summary>The checksum of TCP or UDP covers all of it and is where the IP headers end: see <see cref="InnerPacket.TrySum"/>.</summary>
    Summed = 32,
    /// <summary>It is the first of several fragments.</summary>
    First = 64,
    /// <summary>All of the above.</summary>
    All = 127,
}

/// <summary>What a packet means to its flow. The numbers are chosen so that one bit decides: a choice of constants would be a branch that the verifier follows twice.</summary>
internal enum FlowPacketKind : byte
{
    /// <summary>The flow goes on.</summary>
    Ordinary = 0,
    /// <summary>The client begins the connection.</summary>
    Opening = 1,
    /// <summary>The client ends the connection.</summary>
    Ending = 2,
    /// <summary>The flow goes on, and the packet itself names its backend.</summary>
    Named = 3,
    /// <summary>An ICMP error about the flow: it neither begins nor keeps it.</summary>
    Error = 4,
    /// <summary>A later fragment, which says nothing of its flow.</summary>
    Later = 6,
}
