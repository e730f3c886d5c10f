using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// Writes another address and port into a packet whose headers have been checked, and mends the checksums by the differences that the
/// connection carries (RFC 1624).
/// </summary>
internal static unsafe class Rewriter
{
    /// <summary>Sends the packet to another receiver.</summary>
    internal static void Destination(in IpPacket packet, in Connection connection)
    {
        DestinationAddress(in packet, in connection.NewAddress, connection.AddressDelta);
        if (packet.Protocol == IpProtocol.Tcp)
        {
            var tcp = (TcpHeader*)packet.Transport;
            tcp->DestinationPort = connection.NewPort;
            tcp->Checksum = ChecksumDelta.FromRaw(connection.FullDelta).Apply(tcp->Checksum);
        }
        else
        {
            var udp = (UdpHeader*)packet.Transport;
            udp->DestinationPort = connection.NewPort;
            udp->Checksum = ChecksumDelta.FromRaw(connection.FullDelta).ApplyToUdp(udp->Checksum);
        }
    }

    /// <summary>Makes the packet come from another sender.</summary>
    internal static void Source(in IpPacket packet, in Connection connection)
    {
        SourceAddress(in packet, in connection.NewAddress, connection.AddressDelta);
        if (packet.Protocol == IpProtocol.Tcp)
        {
            var tcp = (TcpHeader*)packet.Transport;
            tcp->SourcePort = connection.NewPort;
            tcp->Checksum = ChecksumDelta.FromRaw(connection.FullDelta).Apply(tcp->Checksum);
        }
        else
        {
            var udp = (UdpHeader*)packet.Transport;
            udp->SourcePort = connection.NewPort;
            udp->Checksum = ChecksumDelta.FromRaw(connection.FullDelta).ApplyToUdp(udp->Checksum);
        }
    }

    /// <summary>Replaces the receiver's address in the IP header only.</summary>
    internal static void DestinationAddress(in IpPacket packet, in IpAddress address, ushort delta)
    {
        if (packet.IsIPv6)
        {
            ((IPv6Header*)packet.Network)->Destination = address;
            return;
        }

        var header = (IPv4Header*)packet.Network;
        header->Destination = NetworkUInt32.FromRaw(address.RawIPv4);
        header->Checksum = ChecksumDelta.FromRaw(delta).Apply(header->Checksum);
    }

    /// <summary>Replaces the sender's address in the IP header only.</summary>
    internal static void SourceAddress(in IpPacket packet, in IpAddress address, ushort delta)
    {
        if (packet.IsIPv6)
        {
            ((IPv6Header*)packet.Network)->Source = address;
            return;
        }

        var header = (IPv4Header*)packet.Network;
        header->Source = NetworkUInt32.FromRaw(address.RawIPv4);
        header->Checksum = ChecksumDelta.FromRaw(delta).Apply(header->Checksum);
    }
}
