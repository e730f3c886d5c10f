using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Edge;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>Kernel half: the backend of a flow that the table does not know.</summary>
internal sealed class DirectChoice(BalancerMaps maps, FlowCache flows, ServiceLimitStage? limits, DirectSignals? signals, VipFlags features)
{
    private readonly RingReader _ring = new(maps);
    private readonly ArrayMap<DirectService> _services = maps.Direct.Services;
    private readonly ArrayMap<Tunnel> _tunnels = maps.Direct.Tunnels;
    private readonly LpmTrie<SourceKey, byte> _sources = maps.Direct.Sources;
    private readonly FlowCache _flows = flows;
    private readonly ServiceLimitStage? _limits = limits;
    private readonly DirectSignals? _signals = signals;
    private readonly ExchangeHold _exchange = new(maps.Exchange);
    private readonly QuicRoute? _quic = (features & VipFlags.Quic) != 0 ? new QuicRoute(maps, flows) : null;

    // Services that do not ask for something leave none of its code.
    private readonly VipFlags _features = features;

    /// <summary>
    /// Finds the backend of a packet's flow, which may be new and is remembered then: a function of its own, walked once by the verifier.
    /// </summary>
    /// <param name="context">The packet.</param>
    /// <param name="delivery">The packet with its flow; hash, backend and <see cref="DeliveryMarks.New"/> are written.</param>
    /// <param name="service">Id of the service.</param>
    /// <param name="vip">How the service's packets are treated: <see cref="VipFlags"/>.</param>
    /// <returns>
    /// <see cref="EdgeVerdict.Forwarded"/>, or why it is dropped; above bit 31 the backend that had the flow's slot before and may have the connection.
    /// </returns>
    [GlobalFunction]
    internal ulong Find(ref XdpContext context, ref Delivery delivery, uint service, uint vip)
    {
        var flags = (VipFlags)vip & _features;
        var kind = (FlowPacketKind)(delivery.Marks & DeliveryMarks.Kind);
        var hash = _flows.HashOf(in delivery.Key.Source, delivery.Key.RawPorts, service);
        delivery.Hash = hash;
        var isTracked = (flags & VipFlags.Untracked) == 0;
        var goesOn = (kind & (FlowPacketKind.Opening | FlowPacketKind.Error)) == 0;
        var former = isTracked ? _flows.Find(hash, again: goesOn,
            confirms: _signals is not null && delivery.Key.Protocol == (uint)IpProtocol.Tcp) : 0;
        if (_quic is not null && kind == FlowPacketKind.Ordinary && (flags & VipFlags.Quic) != 0)
        {
            var named = _quic.BackendOf(ref context, delivery.Transport, service, hash, former | (isTracked ? 0 : QuicRoute.IsUntracked));
            if ((named & QuicRoute.IsNamed) != 0)
            {
                delivery.Backend = named & 0xFFFF;
                delivery.Marks |= (DeliveryMarks)FlowPacketKind.Named;
                return (ulong)EdgeVerdict.Forwarded;
            }
        }

        // Who begins anew goes to one that takes connections.
        if (former != 0 && Owns(former, service, (TunnelFlags)((uint)(kind & FlowPacketKind.Opening) * (uint)TunnelFlags.TakesConnections)))
        {
            delivery.Backend = former;
            if (kind == FlowPacketKind.Ending)
            {
                _flows.Remove(hash, 1);
            }
            else if (_signals is not null && kind == FlowPacketKind.Opening)
            {
                _signals.BeganAgain(hash, former);
            }

            return (ulong)EdgeVerdict.Forwarded;
        }

        if (isTracked && goesOn && _exchange.Holds(delivery.Key.Protocol, TcpFlags.None))
        {
            return (ulong)EdgeVerdict.Held;
        }

        // A connection that is not known, but does not begin, may be another balancer's.
        if (_limits is not null && (flags & VipFlags.Limited) != 0
            && (kind == FlowPacketKind.Opening || (kind == FlowPacketKind.Ordinary && delivery.Key.Protocol == (uint)IpProtocol.Udp && isTracked))
            && !_limits.AdmitsConnection(service))
        {
            return (ulong)EdgeVerdict.ServiceLimited;
        }

        if (former != 0)
        {
            _flows.Remove(hash, 0);
        }

        // Whatever it was asked for so far: one state for the verifier.
        return Choose(ref delivery, service, flags, (FlowPacketKind)(Verifier.Forget((ulong)kind, hash) & 7));
    }

    private ulong Choose(ref Delivery delivery, uint service, VipFlags flags, FlowPacketKind kind)
    {
        if ((flags & VipFlags.Restricted) != 0)
        {
            var source = SourceKey.Of(service, in delivery.Key.Source);
            if (Unsafe.IsNullRef(ref _sources.Find(in source)))
            {
                return (ulong)EdgeVerdict.SourceRefused;
            }
        }

        ref var entry = ref _services.Find(service);
        if (Unsafe.IsNullRef(ref entry))
        {
            return (ulong)EdgeVerdict.NoBackend;
        }

        var key = delivery.Key;
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
            if ((flags & VipFlags.SecondChance) != 0 && entry.FormerStart != 0 && kind is FlowPacketKind.Ordinary or FlowPacketKind.Ending)
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
                return (ulong)EdgeVerdict.NoBackend;
            }

            if (second == 0 && isByClient && isTracked && kind != FlowPacketKind.Error)
            {
                _flows.Add(client, backend);
            }
        }

        // Whose the connection is stays open as long as there are two.
        if (second == 0 && isTracked && kind <= FlowPacketKind.Opening)
        {
            _flows.Add(delivery.Hash, backend);
        }

        delivery.Backend = backend;
        delivery.Marks |= kind != FlowPacketKind.Error ? DeliveryMarks.New : 0;
        if (_signals is not null && kind == FlowPacketKind.Opening && isTracked)
        {
            _signals.Began(backend);
        }

        return Owns(backend, service, TunnelFlags.None) ? (ulong)EdgeVerdict.Forwarded | ((ulong)second << 32) : (ulong)EdgeVerdict.NoBackend;
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

    private bool Owns(uint backend, uint service, TunnelFlags flags)
    {
        ref var tunnel = ref _tunnels.Find(backend);
        return !Unsafe.IsNullRef(ref tunnel) && tunnel.Owner == service + 1 && (tunnel.Flags & flags) == flags;
    }
}
