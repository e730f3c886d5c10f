using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Edge;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>Kernel half: later fragments have no ports, so the first one leaves word where its packet goes.</summary>
internal sealed class FragmentStage(BalancerMaps maps, AddressBook? book = null)
{
    private readonly LruHashMap<FragmentKey, FragmentRoute> _routes = maps.Fragments;
    private readonly HashMap<ServiceKey, ServiceEntry> _services = maps.Services;
    private readonly AddressBook? _book = book;

    /// <summary>Notes the way of a first fragment; nothing for whole packets. To be called with the addresses the packet came with.</summary>
    internal void Remember(in IpPacket packet, in Connection connection)
    {
        if (packet.Fragment != FragmentKind.First)
        {
            return;
        }

        var key = KeyOf(in packet);
        FragmentRoute route;
        route.NewAddress = connection.NewAddress;
        route.AddressDelta = connection.AddressDelta;
        route.Direction = (ushort)connection.Direction;
        route.Backend = _book is not null ? connection.OtherAddress : 0u;
        // A full table makes strays of the later fragments, which are counted as such.
        _routes.Update(in key, in route, UpdateMode.Any);
    }

    /// <summary>Notes that a first fragment for a service's address is none of the service's, so that the later ones are not taken for strays.</summary>
    internal void RememberPassed(in IpPacket packet)
    {
        if (packet.Fragment != FragmentKind.First || !IsForService(in packet.Destination))
        {
            return;
        }

        var key = KeyOf(in packet);
        var route = default(FragmentRoute);
        route.Direction = FragmentRoute.Unchanged;
        _routes.Update(in key, in route, UpdateMode.Any);
    }

    /// <summary>Sends a later fragment after its first one.</summary>
    internal EdgeVerdict Route(in IpPacket packet, ref EdgePacket edge)
    {
        // Only these are balanced; a fragment of anything else needs no first one.
        if (!packet.IsIPv6 && packet.Protocol != IpProtocol.Tcp && packet.Protocol != IpProtocol.Udp)
        {
            return EdgeVerdict.Passed;
        }

        var key = KeyOf(in packet);
        ref var route = ref _routes.Find(in key);
        if (!Unsafe.IsNullRef(ref route))
        {
            if (_book is not null && route.Backend != 0 && route.Direction < FragmentRoute.Unchanged)
            {
                ref var sender = ref _book.Find(route.Backend);
                if (Unsafe.IsNullRef(ref sender))
                {
                    return EdgeVerdict.StrayFragment;
                }

                Rewriter.Addresses(in packet, in sender, in route.NewAddress, route.AddressDelta);
            }
            else if (route.Direction == (ushort)ConnectionDirection.Forward)
            {
                Rewriter.DestinationAddress(in packet, in route.NewAddress, route.AddressDelta);
            }
            else if (route.Direction == (ushort)ConnectionDirection.Reply)
            {
                Rewriter.SourceAddress(in packet, in route.NewAddress, route.AddressDelta);
            }
            else
            {
                return EdgeVerdict.Passed;
            }

            // Of IPv4 the header's own checksum makes up for the change.
            edge.Mend.Address = route.AddressDelta;
            edge.Mend.IsNeeded = packet.IsIPv6;
            return EdgeVerdict.FragmentForwarded;
        }

        return packet.Protocol != IpProtocol.IcmpV6 && IsForService(in packet.Destination) ? EdgeVerdict.StrayFragment : EdgeVerdict.Passed;
    }

    /// <summary>What fragments of one packet have in common.</summary>
    internal static FragmentKey KeyOf(in IpPacket packet)
    {
        FragmentKey key;
        key.Source = packet.Source;
        key.Destination = packet.Destination;
        key.Identification = packet.FragmentId;
        // IPv6 fragments belong together by addresses and identification alone (RFC 8200 section 4.5): only the first one tells the
        // protocol when other extension headers follow.
        key.Protocol = packet.IsIPv6 ? 0 : (uint)packet.Protocol;
        return key;
    }

    /// <summary>As <see cref="KeyOf(in IpPacket)"/>, of a packet that was described.</summary>
    internal static FragmentKey KeyOf(in Delivery packet)
    {
        FragmentKey key;
        key.Source = packet.Key.Source;
        key.Destination = packet.Key.Destination;
        key.Identification = packet.FragmentId;
        key.Protocol = (packet.Marks & DeliveryMarks.IPv6) != 0 ? 0 : packet.Key.Protocol;
        return key;
    }

    /// <summary>Whether an address is a service's.</summary>
    internal bool IsForService(in IpAddress address)
    {
        ServiceKey service;
        service.Address = address;
        service.RawPort = 0;
        service.Protocol = 0;
        return !Unsafe.IsNullRef(ref _services.Find(in service));
    }
}
