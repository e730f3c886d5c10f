using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Edge;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// Kernel half on a balancer: sends a packet of a connection that nobody here knows to the owner of its slot, with the slot's former owner as a second hop. So balancers
/// that know nothing of each other's connections may take over from each other while the ring changes.
/// </summary>
internal sealed unsafe class SecondHopStage(BalancerMaps maps, Encapsulator encapsulator, TooBigStage tooBig)
{
    private readonly ArrayMap<Tunnel> _tunnels = maps.Direct.Tunnels;
    private readonly PerCpuArrayMap<BackendCounter> _counters = maps.BackendCounters;
    private readonly Encapsulator _encapsulator = encapsulator;
    private readonly TooBigStage _tooBig = tooBig;

    /// <summary>Sends the packet: a function of its own, walked once by the verifier.</summary>
    /// <param name="context">The packet.</param>
    /// <param name="delivery">Its flow.</param>
    /// <param name="backends">Owner of the slot in bits 0-15, former owner above.</param>
    /// <param name="link">Bytes before its IP header.</param>
    /// <returns>The verdict, and the action above bit 31.</returns>
    [GlobalFunction]
    internal ulong Send(ref XdpContext context, in Delivery delivery, uint backends, uint link)
    {
        var data = context.Data;
        var end = context.DataEnd;
        var network = data + (nuint)(link & 31);
        ref var tunnel = ref _tunnels.Find(backends & 0xFFFF);
        ref var former = ref _tunnels.Find(backends >> 16);
        if (Unsafe.IsNullRef(ref tunnel) || Unsafe.IsNullRef(ref former))
        {
            return Result(EdgeVerdict.NoBackend, XdpAction.Drop);
        }

        if (!InnerPacket.TryRead(network, data, end, out var inner))
        {
            return Result(EdgeVerdict.Malformed, XdpAction.Pass);
        }

        var way = _encapsulator.WayOf(ref tunnel);
        var hop = Encapsulator.HopOverheadOf(in way);
        var room = tunnel.Room > hop ? tunnel.Room - hop : 0;
        if (inner.Length > room && (room == 0 || !inner.MayBeFragmented))
        {
            return room != 0 && _tooBig.Answer(ref context, inner.LinkLength, room, inner.IsIPv6 ? 6u : 4) != 0
                ? Result(EdgeVerdict.TooBig, XdpAction.Tx) : Result(EdgeVerdict.Undeliverable, XdpAction.Drop);
        }

        ref var counter = ref _counters.Find(backends & 0xFFFF);
        if (!Unsafe.IsNullRef(ref counter))
        {
            counter.Packets++;
            counter.Bytes += (uint)(end - data);
        }

        var next = former.Destination;
        var action = XdpAction.Pass;
        return _encapsulator.SendByHop(ref context, ref tunnel, in way, network, in inner, end, in delivery, in next, ref action)
            ? Result(EdgeVerdict.ForwardedTwoHops, action) : Result(EdgeVerdict.Undeliverable, XdpAction.Drop);
    }

    private static ulong Result(EdgeVerdict verdict, XdpAction action) => (ulong)verdict | ((ulong)action << 32);
}
