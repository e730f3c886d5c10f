using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Edge;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>Kernel half: later fragments have no ports, so the first one leaves word where its packet goes.</summary>
internal sealed unsafe class FragmentStage(BalancerMaps maps)
{
    private readonly LruHashMap<FragmentKey, FragmentRoute> _routes = maps.Fragments;
    private readonly HashMap<ServiceKey, ServiceEntry> _services = maps.Services;

    /// <summary>Notes the way of a first fragment that has its new addresses by now; nothing for whole packets.</summary>
    /// <param name="packet">The packet as it came.</param>
    /// <param name="addressDelta"><see cref="ChecksumDelta"/> of the change of addresses.</param>
    internal void Remember(in IpPacket packet, ushort addressDelta)
    {
        if (packet.Fragment != FragmentKind.First)
        {
            return;
        }

        var key = KeyOf(in packet);
        FragmentRoute route;
        if (packet.IsIPv6)
        {
            route.Sender = ((IPv6Header*)packet.Network)->Source;
            route.Receiver = ((IPv6Header*)packet.Network)->Destination;
        }
        else
        {
            route.Sender = IpAddress.FromRawIPv4(((IPv4Header*)packet.Network)->Source.Raw);
            route.Receiver = IpAddress.FromRawIPv4(((IPv4Header*)packet.Network)->Destination.Raw);
        }

        route.AddressDelta = addressDelta;
        route.Kind = FragmentRoute.Rewritten;
        route.Backend = 0;
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
        route.Kind = FragmentRoute.Unchanged;
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
            if (route.Kind != FragmentRoute.Rewritten)
            {
                return EdgeVerdict.Passed;
            }

            Rewriter.Addresses(in packet, in route.Sender, in route.Receiver, route.AddressDelta);
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
