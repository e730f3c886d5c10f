using System.Runtime.CompilerServices;
using Skep.Edge;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// Kernel half: an ICMP error embeds the packet that caused it, with the addresses that packet had where the error arose. For a balanced connection
/// it is translated back (RFC 5508 section 4.2), so that path MTU discovery and "port unreachable" work through the balancer.
/// </summary>
internal sealed unsafe class IcmpErrorStage(Tracker connections, SignalStage? signals, AddressBook? book = null)
{
    private readonly SignalStage? _signals = signals;
    private readonly AddressBook? _book = book;
    private readonly Tracker _connections = connections;

    internal EdgeVerdict Route(in IpPacket packet, byte* end)
    {
        if (packet.IsIPv6)
        {
            return packet.Protocol == IpProtocol.IcmpV6 ? RouteIPv6(in packet, end) : EdgeVerdict.Passed;
        }

        return packet.Protocol == IpProtocol.Icmp ? RouteIPv4(in packet, end) : EdgeVerdict.Passed;
    }

    private EdgeVerdict RouteIPv4(in IpPacket packet, byte* end)
    {
        var icmp = (IcmpHeader*)packet.Transport;
        var inner = (IPv4Header*)(packet.Transport + sizeof(IcmpHeader));
        if (packet.Transport + sizeof(IcmpHeader) > end)
        {
            return EdgeVerdict.Malformed;
        }

        if (!IcmpTypes.IsError(icmp->Type))
        {
            return EdgeVerdict.Passed;
        }

        if ((byte*)inner + sizeof(IPv4Header) > end)
        {
            return EdgeVerdict.Malformed;
        }

        if (!inner->IsValid || inner->Fragment == FragmentKind.Later || (inner->Protocol != IpProtocol.Tcp && inner->Protocol != IpProtocol.Udp))
        {
            return EdgeVerdict.Passed;
        }

        var ports = (UdpHeader*)((byte*)inner + inner->HeaderLength);
        if ((byte*)ports + sizeof(UdpHeader) > end)
        {
            return EdgeVerdict.Passed;
        }

        var key = AnswerTo(
            IpAddress.FromRawIPv4(inner->Source.Raw), IpAddress.FromRawIPv4(inner->Destination.Raw), *(uint*)ports, (uint)inner->Protocol);
        ref var connection = ref _connections.Find(in key);
        if (Unsafe.IsNullRef(ref connection))
        {
            return EdgeVerdict.Passed;
        }

        var address = NetworkUInt32.FromRaw(connection.NewAddress.RawIPv4);
        var addressDelta = ChecksumDelta.FromRaw(connection.AddressDelta);
        if (_book is not null && connection.OtherAddress != 0)
        {
            ref var other = ref _book.Find(connection.OtherAddress);
            if (Unsafe.IsNullRef(ref other))
            {
                return EdgeVerdict.Passed;
            }

            inner->Source = address;
            inner->Destination = NetworkUInt32.FromRaw(other.RawIPv4);
            ports->SourcePort = connection.NewPort;
            ports->DestinationPort = connection.OtherPort;
            if (_signals is not null && connection.Direction == ConnectionDirection.Reply && packet.Source == key.Source
                && icmp->Type == IcmpTypes.DestinationUnreachable && icmp->Code == IcmpTypes.PortUnreachable)
            {
                _signals.Unreachable(ref connection);
            }

            TranslateOuter(in packet, in key, in connection, in other);
        }
        else if (connection.Direction == ConnectionDirection.Forward)
        {
            inner->Source = address;
            ports->SourcePort = connection.NewPort;
            Rewriter.DestinationAddress(in packet, in connection.NewAddress, connection.AddressDelta);
        }
        else
        {
            inner->Destination = address;
            ports->DestinationPort = connection.NewPort;
            // A router on the way speaks for itself; only the backend hides behind the service.
            if (packet.Source == key.Source)
            {
                if (_signals is not null && icmp->Type == IcmpTypes.DestinationUnreachable && icmp->Code == IcmpTypes.PortUnreachable)
                {
                    _signals.Unreachable(ref connection);
                }

                Rewriter.SourceAddress(in packet, in connection.NewAddress, connection.AddressDelta);
            }
        }

        // Within the message the inner header's change and that of its checksum cancel out: what remains is the port.
        inner->Checksum = addressDelta.Apply(inner->Checksum);
        icmp->Checksum = (ChecksumDelta.FromRaw(connection.FullDelta) + -addressDelta).Apply(icmp->Checksum);
        return EdgeVerdict.IcmpForwarded;
    }

    private EdgeVerdict RouteIPv6(in IpPacket packet, byte* end)
    {
        var icmp = (IcmpHeader*)packet.Transport;
        var inner = (IPv6Header*)(packet.Transport + sizeof(IcmpHeader));
        if (packet.Transport + sizeof(IcmpHeader) > end)
        {
            return EdgeVerdict.Malformed;
        }

        if (!IcmpV6Types.IsError(icmp->Type))
        {
            return EdgeVerdict.Passed;
        }

        var ports = (UdpHeader*)(inner + 1);
        if ((byte*)ports > end)
        {
            return EdgeVerdict.Malformed;
        }

        // Extension headers in the embedded packet are rare enough to leave the error to the network stack.
        if ((inner->NextHeader != IpProtocol.Tcp && inner->NextHeader != IpProtocol.Udp) || (byte*)ports + sizeof(UdpHeader) > end)
        {
            return EdgeVerdict.Passed;
        }

        var key = AnswerTo(inner->Source, inner->Destination, *(uint*)ports, (uint)inner->NextHeader);
        ref var connection = ref _connections.Find(in key);
        if (Unsafe.IsNullRef(ref connection))
        {
            return EdgeVerdict.Passed;
        }

        // The message with its pseudo header contains the change of the inner address, of the port, and of the outer address.
        var delta = ChecksumDelta.FromRaw(connection.FullDelta);
        if (_book is not null && connection.OtherAddress != 0)
        {
            ref var other = ref _book.Find(connection.OtherAddress);
            if (Unsafe.IsNullRef(ref other))
            {
                return EdgeVerdict.Passed;
            }

            inner->Source = connection.NewAddress;
            inner->Destination = other;
            ports->SourcePort = connection.NewPort;
            ports->DestinationPort = connection.OtherPort;
            if (_signals is not null && connection.Direction == ConnectionDirection.Reply && packet.Source == key.Source
                && icmp->Type == IcmpV6Types.DestinationUnreachable && icmp->Code == IcmpV6Types.PortUnreachable)
            {
                _signals.Unreachable(ref connection);
            }

            delta += TranslateOuter(in packet, in key, in connection, in other);
        }
        else if (connection.Direction == ConnectionDirection.Forward)
        {
            inner->Source = connection.NewAddress;
            ports->SourcePort = connection.NewPort;
            Rewriter.DestinationAddress(in packet, in connection.NewAddress, connection.AddressDelta);
            delta += ChecksumDelta.FromRaw(connection.AddressDelta);
        }
        else
        {
            inner->Destination = connection.NewAddress;
            ports->DestinationPort = connection.NewPort;
            if (packet.Source == key.Source)
            {
                if (_signals is not null && icmp->Type == IcmpV6Types.DestinationUnreachable && icmp->Code == IcmpV6Types.PortUnreachable)
                {
                    _signals.Unreachable(ref connection);
                }

                Rewriter.SourceAddress(in packet, in connection.NewAddress, connection.AddressDelta);
                delta += ChecksumDelta.FromRaw(connection.AddressDelta);
            }
        }

        icmp->Checksum = delta.Apply(icmp->Checksum);
        return EdgeVerdict.IcmpForwarded;
    }

    // With source translation: the error goes to the end it concerns, and the other end hides behind the address that this one knows. Gives the difference.
    private static ChecksumDelta TranslateOuter(in IpPacket packet, in ConnectionKey key, in Connection connection, in IpAddress other)
    {
        var sender = packet.Source == key.Source ? other : packet.Source;
        var delta = ChecksumDelta.Of(packet.Destination, in connection.NewAddress) + ChecksumDelta.Of(packet.Source, in sender);
        Rewriter.Addresses(in packet, in sender, in connection.NewAddress, delta.Raw);
        return delta;
    }

    private static ConnectionKey AnswerTo(IpAddress source, IpAddress destination, uint rawPorts, uint protocol)
    {
        ConnectionKey key;
        key.Source = destination;
        key.Destination = source;
        key.RawPorts = (rawPorts << 16) | (rawPorts >> 16);
        key.Protocol = protocol;
        return key;
    }
}
