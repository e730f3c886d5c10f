using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Edge;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>Kernel half: later fragments have no ports, so the first one leaves word where its packet goes.</summary>
internal sealed class FragmentStage(BalancerMaps maps)
{
    private readonly LruHashMap<FragmentKey, FragmentRoute> _routes = maps.Fragments;
    private readonly HashMap<ServiceKey, ServiceEntry> _services = maps.Services;

    /// <summary>Notes the way of a first fragment; nothing for whole packets. To be called with the addresses the packet came with.</summary>
    internal void Remember(in IpPacket packet, in Connection connection)
    {
        if (packet.Fragment != FragmentKind.First)
        {
            return;
        }

        FragmentKey key;
        key.Source = packet.Source;
        key.Destination = packet.Destination;
        key.Identification = packet.FragmentId;
        key.Protocol = (uint)packet.Protocol;
        FragmentRoute route;
        route.NewAddress = connection.NewAddress;
        route.AddressDelta = connection.AddressDelta;
        route.Direction = (ushort)connection.Direction;
        route.Reserved = 0;
        // A full table makes strays of the later fragments, which are counted as such.
        _routes.Update(in key, in route, UpdateMode.Any);
    }

    /// <summary>Sends a later fragment after its first one.</summary>
    internal EdgeVerdict Route(in IpPacket packet)
    {
        FragmentKey key;
        key.Source = packet.Source;
        key.Destination = packet.Destination;
        key.Identification = packet.FragmentId;
        key.Protocol = (uint)packet.Protocol;
        ref var route = ref _routes.Find(in key);
        if (!Unsafe.IsNullRef(ref route))
        {
            if (route.Direction == (ushort)ConnectionDirection.Forward)
            {
                Rewriter.DestinationAddress(in packet, in route.NewAddress, route.AddressDelta);
            }
            else
            {
                Rewriter.SourceAddress(in packet, in route.NewAddress, route.AddressDelta);
            }

            return EdgeVerdict.FragmentForwarded;
        }

        ServiceKey service;
        service.Address = packet.Destination;
        service.RawPort = 0;
        service.Protocol = 0;
        return Unsafe.IsNullRef(ref _services.Find(in service)) ? EdgeVerdict.Passed : EdgeVerdict.StrayFragment;
    }
}
