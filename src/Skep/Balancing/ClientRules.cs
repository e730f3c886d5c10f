using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Edge;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// Kernel half: what services that rewrite ask of a client beside its connection, by the tables of direct return: who may begin, which backend a client had
/// before, and ranges of ports. All of it happens once a connection.
/// </summary>
internal sealed class ClientRules(BalancerMaps maps, ServiceFlags features, ulong seed)
{
    private readonly ServiceFlags _features = features;
    private readonly VipTableLookup _ranges = new(maps.Direct.Vips);
    private readonly ArrayMap<DirectService> _services = maps.Direct.Services;
    private readonly ArrayMap<BackendEntry> _backends = maps.Backends;
    private readonly LpmTrie<SourceKey, byte> _sources = maps.Direct.Sources;
    private readonly FlowCache _flows = new(maps.Direct, seed);

    /// <summary>Whether services may have ranges of ports, whose backends serve the port that clients use.</summary>
    internal bool HasRanges => (_features & ServiceFlags.Ranged) != 0;

    /// <summary>Ports of the range that a packet is for, as its service's key has them; 0 when there is none.</summary>
    internal uint RangeOf(in ConnectionKey key) =>
        _ranges.TryFindRange(in key.Destination, key.DestinationPort, (IpProtocol)key.Protocol, out var slot) && (slot.Flags & VipFlags.Rewritten) != 0
            ? NetworkUInt16.From(slot.FirstPort).Raw | ((uint)NetworkUInt16.From(slot.LastPort).Raw << 16)
            : 0;

    /// <summary>Whether a client may begin connections.</summary>
    internal bool Admits(in ConnectionKey key, in ServiceEntry service)
    {
        if ((_features & ServiceFlags.Restricted) == 0 || (service.Flags & ServiceFlags.Restricted) == 0)
        {
            return true;
        }

        var source = SourceKey.Of(service.Id, in key.Source);
        return !Unsafe.IsNullRef(ref _sources.Find(in source));
    }

    /// <summary>Whether all connections of a client go to one backend.</summary>
    internal bool IsByClient(in ServiceEntry service) => (_features & ServiceFlags.ByClient) != 0 && (service.Flags & ServiceFlags.ByClient) != 0;

    /// <summary>Makes of a connection what all connections of its client have in common.</summary>
    internal void Generalise(ref ConnectionKey key, in ServiceEntry service)
    {
        ref var entry = ref _services.Find(service.Id);
        if (!Unsafe.IsNullRef(ref entry))
        {
            key.Source = new IpAddress(key.Source.RawUpper & entry.ClientMaskUpper, key.Source.RawLower & entry.ClientMaskLower);
            key.RawPorts = 0;
        }
    }

    /// <summary>The backend that a client had before and that still takes connections; 0 when there is none.</summary>
    internal uint BackendOf(in ConnectionKey client, in ServiceEntry service)
    {
        var hash = _flows.HashOf(in client.Source, 0, service.Id);
        var id = _flows.Find(hash, again: true);
        ref var backend = ref _backends.Find(id);
        if (id == 0 || Unsafe.IsNullRef(ref backend) || backend.InUse == 0 || backend.Service != service.Id || backend.Weight == 0)
        {
            return 0;
        }

        return id;
    }

    /// <summary>Remembers the backend of a client. Those above 65,535 are not remembered: then the ring alone decides.</summary>
    internal void Remember(in ConnectionKey client, in ServiceEntry service, uint backend)
    {
        if (backend <= ushort.MaxValue)
        {
            var hash = _flows.HashOf(in client.Source, 0, service.Id);
            _flows.Remove(hash, 0);
            _flows.Add(hash, backend);
        }
    }
}
