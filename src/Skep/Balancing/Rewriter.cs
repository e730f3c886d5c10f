using Skep.Edge;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>Kernel half: how checksums change, as <see cref="ChecksumDelta.Raw"/> has it.</summary>
internal struct RewriteDelta
{
    /// <summary>Of the addresses.</summary>
    public ushort Address;

    /// <summary>Of addresses and ports.</summary>
    public ushort Full;
}

/// <summary>
/// Kernel half: writes another address and port into a packet whose headers have been checked, and mends the checksums by the differences that the
/// connection carries (RFC 1624). Ports lie in TCP's header where they lie in UDP's. The transport checksum is mended here, or noted in <see cref="EdgePacket"/> for a hook whose packets may have partial
/// ones.
/// </summary>
internal sealed unsafe class Rewriter(bool notesChecksums)
{
    private readonly bool _notesChecksums = notesChecksums;

    /// <summary>Sends the packet to another receiver.</summary>
    internal void Destination(in IpPacket packet, in IpAddress receiver, NetworkUInt16 port, RewriteDelta delta, ref EdgePacket edge)
    {
        DestinationAddress(in packet, in receiver, delta.Address);
        ((UdpHeader*)packet.Transport)->DestinationPort = port;
        Mend(in packet, delta, ref edge);
    }

    /// <summary>Makes the packet come from another sender.</summary>
    internal void Source(in IpPacket packet, in IpAddress sender, NetworkUInt16 port, RewriteDelta delta, ref EdgePacket edge)
    {
        SourceAddress(in packet, in sender, delta.Address);
        ((UdpHeader*)packet.Transport)->SourcePort = port;
        Mend(in packet, delta, ref edge);
    }

    /// <summary>Sends the packet to another receiver as coming from another sender.</summary>
    internal void Both(
        in IpPacket packet, in IpAddress sender, NetworkUInt16 senderPort, in IpAddress receiver, NetworkUInt16 receiverPort, RewriteDelta delta, ref EdgePacket edge)
    {
        Addresses(in packet, in sender, in receiver, delta.Address);
        ((UdpHeader*)packet.Transport)->SourcePort = senderPort;
        ((UdpHeader*)packet.Transport)->DestinationPort = receiverPort;
        Mend(in packet, delta, ref edge);
    }

    /// <summary>Replaces both addresses in the IP header only; <paramref name="delta"/> is that of both changes.</summary>
    internal static void Addresses(in IpPacket packet, in IpAddress sender, in IpAddress receiver, ushort delta)
    {
        if (packet.IsIPv6)
        {
            ((IPv6Header*)packet.Network)->Source = sender;
            ((IPv6Header*)packet.Network)->Destination = receiver;
            return;
        }

        var header = (IPv4Header*)packet.Network;
        header->Source = NetworkUInt32.FromRaw(sender.RawIPv4);
        header->Destination = NetworkUInt32.FromRaw(receiver.RawIPv4);
        header->Checksum = ChecksumDelta.FromRaw(delta).Apply(header->Checksum);
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

    private void Mend(in IpPacket packet, RewriteDelta change, ref EdgePacket edge)
    {
        if (_notesChecksums)
        {
            edge.Mend.Address = change.Address;
            edge.Mend.Full = change.Full;
            edge.Mend.IsNeeded = true;
            return;
        }

        var delta = ChecksumDelta.FromRaw(change.Full);
        if (packet.Protocol == IpProtocol.Tcp)
        {
            var tcp = (TcpHeader*)packet.Transport;
            tcp->Checksum = delta.Apply(tcp->Checksum);
        }
        else
        {
            var udp = (UdpHeader*)packet.Transport;
            udp->Checksum = delta.ApplyToUdp(udp->Checksum);
        }
    }
}
