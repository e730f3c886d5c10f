using Skep.Packets;

namespace Skep.Edge;

/// <summary>Kernel half: lengths that headers claim against the bytes that are there. Part of the program only when malformed packets are dropped.</summary>
internal static unsafe class PacketCheck
{
    /// <summary>Whether the lengths of IP and transport header agree with the frame.</summary>
    internal static bool IsConsistent(in IpPacket packet, in EdgePacket edge)
    {
        // Frames may be padded, so the packet may be shorter than the frame, never longer.
        var end = edge.End;
        var available = edge.Length - (ulong)(packet.Network - edge.Start);
        if (packet.IsIPv6)
        {
            var payload = (uint)((IPv6Header*)packet.Network)->PayloadLength.Value;
            if (payload + (uint)sizeof(IPv6Header) > available)
            {
                return false;
            }
        }
        else
        {
            var header = (IPv4Header*)packet.Network;
            var total = (uint)header->TotalLength.Value;
            // A super-packet of more than 64 KiB has no length (RFC 2675 for IPv6, whose 0 passes above; Linux does the same for IPv4).
            if ((total < header->HeaderLength || total > available) && (total != 0 || edge.Packets == 1))
            {
                return false;
            }
        }

        if (packet.Fragment == FragmentKind.Later)
        {
            return true;
        }

        if (packet.Protocol == IpProtocol.Tcp)
        {
            var tcp = (TcpHeader*)packet.Transport;
            if (packet.Transport + sizeof(TcpHeader) > end)
            {
                return false;
            }

            var length = tcp->HeaderLength;
            return length >= sizeof(TcpHeader) && packet.Transport + length <= end;
        }

        if (packet.Protocol == IpProtocol.Udp)
        {
            var udp = (UdpHeader*)packet.Transport;
            return packet.Transport + sizeof(UdpHeader) <= end && udp->Length.Value >= sizeof(UdpHeader);
        }

        if (packet.Protocol == IpProtocol.Icmp || packet.Protocol == IpProtocol.IcmpV6)
        {
            // Both have a header of 4 bytes at least; 8 in every message that is in use.
            return packet.Transport + 4 <= end;
        }

        return true;
    }
}
