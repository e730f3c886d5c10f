using System.Runtime.CompilerServices;
using Skep.Edge;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// Kernel half: an ICMP error embeds the packet that caused it, with the addresses that packet had where the error arose. For a balanced connection
/// it is translated back (RFC 5508 section 4.2), so that path MTU discovery and "port unreachable" work through the balancer.
/// </summary>
internal sealed unsafe class IcmpErrorStage(Tracker connections, SignalStage? signals)
{
    private readonly SignalStage? _signals = signals;
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

        var source = IpAddress.FromRawIPv4(inner->Source.Raw);
        var destination = IpAddress.FromRawIPv4(inner->Destination.Raw);
        var found = _connections.Find(in destination, in source, Reversed(*(uint*)ports), (uint)inner->Protocol);
        ref var connection = ref _connections.At(Tracker.NumberOf(found));
        ref var alias = ref _connections.At(Unsafe.IsNullRef(ref connection) ? 0 : connection.Link);
        if (found == 0 || Unsafe.IsNullRef(ref connection) || Unsafe.IsNullRef(ref alias))
        {
            return EdgeVerdict.Passed;
        }

        // What the inner packet was before its rewriting.
        var isRequest = Tracker.FoundReply(found);
        var isTranslated = _connections.Translates && connection.Kind == ConnectionKind.Translated;
        NoteUnreachable(ref connection, isRequest && packet.Source == destination && icmp->Type == IcmpTypes.DestinationUnreachable && icmp->Code == IcmpTypes.PortUnreachable);
        if (isRequest)
        {
            inner->Source = NetworkUInt32.FromRaw(connection.Client.RawIPv4);
            inner->Destination = NetworkUInt32.FromRaw(connection.Virtual.RawIPv4);
            ports->SourcePort = connection.ClientPort;
            ports->DestinationPort = connection.VirtualPort;
        }
        else
        {
            inner->Source = NetworkUInt32.FromRaw(connection.Backend.RawIPv4);
            ports->SourcePort = connection.BackendPort;
            if (isTranslated)
            {
                inner->Destination = NetworkUInt32.FromRaw(alias.Client.RawIPv4);
                ports->DestinationPort = alias.ClientPort;
            }
        }

        TranslateOuter(in packet, in connection, in alias, isRequest, isTranslated);

        // Within the message the inner header's change and that of its checksum cancel out: what remains is the port.
        var addressDelta = ChecksumDelta.FromRaw(connection.AddressDelta);
        var fullDelta = ChecksumDelta.FromRaw(connection.FullDelta);
        if (isRequest)
        {
            (addressDelta, fullDelta) = (-addressDelta, -fullDelta);
        }

        inner->Checksum = addressDelta.Apply(inner->Checksum);
        icmp->Checksum = (fullDelta + -addressDelta).Apply(icmp->Checksum);
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

        var source = inner->Source;
        var destination = inner->Destination;
        var found = _connections.Find(in destination, in source, Reversed(*(uint*)ports), (uint)inner->NextHeader);
        ref var connection = ref _connections.At(Tracker.NumberOf(found));
        ref var alias = ref _connections.At(Unsafe.IsNullRef(ref connection) ? 0 : connection.Link);
        if (found == 0 || Unsafe.IsNullRef(ref connection) || Unsafe.IsNullRef(ref alias))
        {
            return EdgeVerdict.Passed;
        }

        var isRequest = Tracker.FoundReply(found);
        var isTranslated = _connections.Translates && connection.Kind == ConnectionKind.Translated;
        NoteUnreachable(ref connection, isRequest && packet.Source == destination && icmp->Type == IcmpV6Types.DestinationUnreachable && icmp->Code == IcmpV6Types.PortUnreachable);
        if (isRequest)
        {
            inner->Source = connection.Client;
            inner->Destination = connection.Virtual;
            ports->SourcePort = connection.ClientPort;
            ports->DestinationPort = connection.VirtualPort;
        }
        else
        {
            inner->Source = connection.Backend;
            ports->SourcePort = connection.BackendPort;
            if (isTranslated)
            {
                inner->Destination = alias.Client;
                ports->DestinationPort = alias.ClientPort;
            }
        }

        // The message with its pseudo header contains the change of the inner address, of the port, and of the outer addresses.
        var delta = ChecksumDelta.FromRaw(connection.FullDelta);
        delta = (isRequest ? -delta : delta) + TranslateOuter(in packet, in connection, in alias, isRequest, isTranslated);
        icmp->Checksum = delta.Apply(icmp->Checksum);
        return EdgeVerdict.IcmpForwarded;
    }

    private void NoteUnreachable(ref Connection connection, bool isUnreachable)
    {
        if (_signals is not null && isUnreachable)
        {
            _signals.Unreachable(ref connection);
        }
    }

    // The error goes to the end it concerns. A router on the way speaks for itself; the other end hides behind the address that this one knows. Gives the difference.
    private static ChecksumDelta TranslateOuter(in IpPacket packet, in Connection connection, in Connection alias, bool isRequest, bool isTranslated)
    {
        // Every case by itself: a choice between addresses would be a copy on the stack, which is short.
        if (!isRequest)
        {
            return isTranslated && packet.Source == connection.Client
                ? Outer(in packet, in alias.Client, in connection.Backend) : Outer(in packet, in packet.Source, in connection.Backend);
        }

        return packet.Source == connection.Backend
            ? Outer(in packet, in connection.Virtual, in connection.Client) : Outer(in packet, in packet.Source, in connection.Client);
    }

    private static ChecksumDelta Outer(in IpPacket packet, in IpAddress sender, in IpAddress receiver)
    {
        var delta = ChecksumDelta.Of(packet.Destination, in receiver) + ChecksumDelta.Of(packet.Source, in sender);
        Rewriter.Addresses(in packet, in sender, in receiver, delta.Raw);
        return delta;
    }

    private static uint Reversed(uint rawPorts) => (rawPorts << 16) | (rawPorts >> 16);
}
