using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Edge;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>Kernel half: fragments of packets that go to backends unchanged. Rare, so each way is a function of its own, walked once by the verifier.</summary>
internal sealed class DirectFragments(BalancerMaps maps, FlowCache flows, bool isLast)
{
    private readonly FragmentStage _fragments = new(maps);
    private readonly LruHashMap<FragmentKey, FragmentRoute> _routes = maps.Fragments;
    private readonly ArrayMap<Tunnel> _tunnels = maps.Direct.Tunnels;
    private readonly FlowCache _flows = flows;
    private readonly bool _isLast = isLast;

    /// <summary>Finds where a later fragment goes: after its first one.</summary>
    /// <param name="key">The fragmented packet.</param>
    /// <param name="delivery">The fragment, with the protocol it has; backend and hash are written.</param>
    /// <returns><see cref="EdgeVerdict.Forwarded"/>, <see cref="EdgeVerdict.Passed"/> when it is none of ours, <see cref="EdgeVerdict.StrayFragment"/>.</returns>
    [GlobalFunction]
    internal uint FindLater(in FragmentKey key, ref Delivery delivery)
    {
        ref var route = ref _routes.Find(in key);
        if (Unsafe.IsNullRef(ref route))
        {
            // Only these are balanced; a fragment of anything else needs no first one.
            var protocol = (IpProtocol)delivery.Key.Protocol;
            var isBalanced = (delivery.Marks & DeliveryMarks.IPv6) != 0 ? protocol != IpProtocol.IcmpV6 : protocol is IpProtocol.Tcp or IpProtocol.Udp;
            return _isLast && isBalanced && _fragments.IsForService(in key.Destination) ? (uint)EdgeVerdict.StrayFragment : (uint)EdgeVerdict.Passed;
        }

        if (route.Kind != FragmentRoute.Tunnelled)
        {
            return (uint)EdgeVerdict.Passed;
        }

        delivery.Backend = route.Backend;
        delivery.Hash = _flows.HashOf(in key.Source, key.Identification, 0);
        ref var tunnel = ref _tunnels.Find(delivery.Backend);
        return Unsafe.IsNullRef(ref tunnel) || tunnel.Owner == 0 ? (uint)EdgeVerdict.StrayFragment : (uint)EdgeVerdict.Forwarded;
    }

    /// <summary>
    /// Notes where a first fragment goes, or that it is none of ours although its receiver is a service's, so that the later ones are not taken for strays. A full
    /// table makes strays of them, which are counted as such.
    /// </summary>
    /// <param name="key">The fragmented packet.</param>
    /// <param name="backend">Its backend; 0 for none of ours.</param>
    [GlobalFunction]
    internal int RememberFirst(in FragmentKey key, uint backend)
    {
        var route = default(FragmentRoute);
        route.Kind = backend != 0 ? FragmentRoute.Tunnelled : FragmentRoute.Unchanged;
        route.Backend = backend;
        return backend != 0 || (_isLast && _fragments.IsForService(in key.Destination)) ? _routes.Update(in key, in route, UpdateMode.Any) : 0;
    }
}
