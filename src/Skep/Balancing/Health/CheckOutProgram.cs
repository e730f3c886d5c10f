using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Balancing.Health;

/// <summary>
/// Kernel half: puts the outer headers of a backend in front of the packets of a check and sends them there, as direct return does with those of clients. Runs where the
/// packets of the checks' own namespace come in.
/// </summary>
internal sealed unsafe class CheckOutProgram(CheckMaps maps) : XdpProgram
{
    private readonly HashMap<ConnectionKey, Tunnel> _checks = maps.Checks;
    private readonly Encapsulator _encapsulator = new(new DirectOptions());

    /// <inheritdoc/>
    public override string Name => "skep_check_out";

    /// <inheritdoc/>
    public override XdpAction Run(ref XdpContext context)
    {
        var data = context.Data;
        var end = context.DataEnd;
        if (!IpPacket.TryParsePlain(data, end, out var packet) || packet.Protocol is not (IpProtocol.Tcp or IpProtocol.Udp))
        {
            return XdpAction.Drop;
        }

        var delivery = default(Delivery);
        delivery.Key.Source = packet.Source;
        delivery.Key.Destination = packet.Destination;
        delivery.Key.RawPorts = Unsafe.ReadUnaligned<uint>(packet.Transport);
        delivery.Key.Protocol = (uint)packet.Protocol;
        ref var tunnel = ref _checks.Find(in delivery.Key);
        if (Unsafe.IsNullRef(ref tunnel) || tunnel.Interface == 0)
        {
            return XdpAction.Drop;
        }

        var network = data + sizeof(EthernetHeader);
        if (!InnerPacket.TryRead(network, data, end, out var inner))
        {
            return XdpAction.Drop;
        }

        delivery.Link = (uint)sizeof(EthernetHeader);
        delivery.Transport = delivery.Link + (inner.IsIPv6 ? (uint)sizeof(IPv6Header) : (uint)sizeof(IPv4Header));
        delivery.Hash = delivery.Key.RawPorts * 0x9E3779B97F4A7C15;
        var way = _encapsulator.WayOf(ref tunnel);
        var action = XdpAction.Drop;
        return inner.Length <= tunnel.Room
            && _encapsulator.Send(ref context, ref tunnel, in way, network, in inner, end, in delivery, isSummed: true, ref action) ? action : XdpAction.Drop;
    }
}
