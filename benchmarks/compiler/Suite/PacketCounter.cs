using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Benchmarks.Compiler.Suite;

/// <summary>Packets and bytes per IP protocol, on each CPU.</summary>
internal sealed unsafe class PacketCounter : Algorithm
{
    private readonly PerCpuArrayMap<Counter> _counters = new(256);

    internal override IReadOnlyList<Sample> Samples { get; } =
    [
        new("IPv4 TCP", PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2").Tcp(1000, 80).Build()),
        new("IPv6 UDP", PacketBuilder.Ethernet().IPv6("fd00::1", "fd00::2").Udp(1000, 53).Payload(20).Build()),
        new("ARP", PacketBuilder.Ethernet().Arp(1, "10.0.0.1", "10.0.0.2").Build()),
        new("cut short", PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2").Build()[..30]),
    ];

    public override XdpAction Run(ref XdpContext context)
    {
        var data = context.Data;
        var end = context.DataEnd;
        var ethernet = (EthernetHeader*)data;
        if (data + sizeof(EthernetHeader) > end)
        {
            return XdpAction.Drop;
        }

        var protocol = 0u;
        if (ethernet->EtherType == EtherTypes.IPv4)
        {
            var ip = (IPv4Header*)(ethernet + 1);
            if ((byte*)(ip + 1) > end)
            {
                return XdpAction.Drop;
            }

            protocol = (uint)ip->Protocol;
        }
        else if (ethernet->EtherType == EtherTypes.IPv6)
        {
            var ip = (IPv6Header*)(ethernet + 1);
            if ((byte*)(ip + 1) > end)
            {
                return XdpAction.Drop;
            }

            protocol = (uint)ip->NextHeader;
        }

        ref var counter = ref _counters.Find(protocol);
        if (Unsafe.IsNullRef(ref counter))
        {
            return XdpAction.Aborted;
        }

        counter.Packets++;
        counter.Bytes += (ulong)(end - data);
        return XdpAction.Pass;
    }

    private struct Counter
    {
        internal ulong Packets;
        internal ulong Bytes;
    }
}
