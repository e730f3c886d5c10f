using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Edge;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>Kernel half: the backend of a flow that the table does not know.</summary>
internal sealed class DirectChoice(BalancerMaps maps, FlowCache flows, bool secondChance)
{
    private readonly bool _secondChance = secondChance;
    private readonly RingReader _ring = new(maps);
    private readonly ArrayMap<DirectService> _services = maps.Direct.Services;
    private readonly ArrayMap<Tunnel> _tunnels = maps.Direct.Tunnels;
    private readonly LpmTrie<SourceKey, byte> _sources = maps.Direct.Sources;
    private readonly FlowCache _flows = flows;

    /// <summary>Gives a flow a backend and remembers it: a function of its own, walked once by the verifier.</summary>
    /// <param name="flow">The flow.</param>
    /// <param name="hash">Its hash.</param>
    /// <param name="service">Id of the service.</param>
    /// <param name="what">How the service's packets are treated, and in bits 16-23 what the packet means.</param>
    /// <param name="former">Backend that the table had and that cannot be used; 0 for none.</param>
    /// <returns>Backend in bits 0-15, in 16-31 the one that had the slot before and may have the connection, the verdict above bit 31.</returns>
    [GlobalFunction]
    internal ulong Choose(in ConnectionKey flow, ulong hash, uint service, uint what, uint former)
    {
        var flags = (VipFlags)(ushort)what;
        var kind = (FlowPacketKind)(byte)(what >> 16);
        if ((flags & VipFlags.Restricted) != 0)
        {
            var source = SourceKey.Of(service, in flow.Source);
            if (Unsafe.IsNullRef(ref _sources.Find(in source)))
            {
                return Verdict(EdgeVerdict.SourceRefused);
            }
        }

        ref var entry = ref _services.Find(service);
        if (Unsafe.IsNullRef(ref entry))
        {
            return Verdict(EdgeVerdict.NoBackend);
        }

        if (former != 0)
        {
            _flows.Remove(hash, 0);
        }

        var key = flow;
        var isTracked = (flags & VipFlags.Untracked) == 0;
        var isByClient = (flags & VipFlags.ByClient) != 0;
        var client = 0UL;
        var backend = 0u;
        var second = 0u;
        if (isByClient)
        {
            // One number for all flows of a client: the ring gives them one backend, and the table keeps it when the ring changes.
            key.Source = new IpAddress(key.Source.RawUpper & entry.ClientMaskUpper, key.Source.RawLower & entry.ClientMaskLower);
            key.RawPorts = 0;
            client = _flows.HashOf(in key.Source, 0, service);
            backend = isTracked ? _flows.Find(client, again: true) : 0;
            if (backend != 0 && !Owns(backend, service, TunnelFlags.TakesConnections))
            {
                _flows.Remove(client, 0);
                backend = 0;
            }
        }

        if (backend == 0)
        {
            ServiceEntry ring;
            ring.Id = service;
            ring.RingStart = entry.RingStart;
            ring.RingSlots = entry.RingSlots;
            ring.Flags = ServiceFlags.None;
            var slot = BackendChoice.SlotOf(BackendChoice.HashOf(in key), entry.RingSlots);
            backend = _ring.IdAt(in ring, slot) & 0xFFFF;
            if (_secondChance && (flags & VipFlags.SecondChance) != 0 && entry.FormerStart != 0 && kind is FlowPacketKind.Ordinary or FlowPacketKind.Ending)
            {
                ring.RingStart = entry.FormerStart;
                second = _ring.IdAt(in ring, slot) & 0xFFFF;
                if (backend == 0)
                {
                    // Nobody takes connections, and this one is not new.
                    backend = Owns(second, service, TunnelFlags.None) ? second : 0;
                    second = 0;
                }

                second = Follows(backend, second, service) ? second : 0;
            }

            if (backend == 0)
            {
                return Verdict(EdgeVerdict.NoBackend);
            }

            if (second == 0 && isByClient && isTracked && kind != FlowPacketKind.Error)
            {
                _flows.Add(client, backend);
            }
        }

        // Whose the connection is stays open as long as there are two.
        if (second == 0 && isTracked && kind is FlowPacketKind.Ordinary or FlowPacketKind.Opening)
        {
            _flows.Add(hash, backend);
        }

        return Verdict(EdgeVerdict.Forwarded) | backend | (second << 16);
    }

    // Outer headers are of one family on the whole way.
    private bool Follows(uint backend, uint former, uint service)
    {
        if (former == 0 || former == backend)
        {
            return false;
        }

        ref var one = ref _tunnels.Find(backend);
        ref var other = ref _tunnels.Find(former);
        return !Unsafe.IsNullRef(ref one) && !Unsafe.IsNullRef(ref other) && other.Owner == service + 1
            && ((one.Flags ^ other.Flags) & TunnelFlags.IPv6) == 0;
    }

    private static ulong Verdict(EdgeVerdict verdict) => (ulong)verdict << 32;

    private bool Owns(uint backend, uint service, TunnelFlags flags)
    {
        ref var tunnel = ref _tunnels.Find(backend);
        return !Unsafe.IsNullRef(ref tunnel) && tunnel.Owner == service + 1 && (tunnel.Flags & flags) == flags;
    }
}
