using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Benchmarks.Compiler.Suite;

/// <summary>Drops TCP and UDP to closed ports; which ones are closed stands in a bit map of all 65,536.</summary>
internal sealed unsafe class PortFilter : Algorithm
{
    private readonly ArrayMap<ulong> _closed = new(1024);
    private readonly PerCpuArrayMap<ulong> _dropped = new(2);

    internal override IReadOnlyList<Sample> Samples { get; } =
    [
        new("open TCP port", PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2").Tcp(1000, 443).Build()),
        new("closed TCP port", PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2").Tcp(1000, 23).Build()),
        new("closed UDP port, with options", PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2", options: new byte[8]).Udp(1000, 1900).Payload(8).Build()),
        new("later fragment", PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2", fragmentOffset: 64, protocol: IpProtocol.Udp).Payload(32).Build()),
        new("ICMP", PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2").Icmp(8).Payload(32).Build()),
        new("IPv6", PacketBuilder.Ethernet().IPv6("fd00::1", "fd00::2").Tcp(1000, 23).Build()),
        new("no room for ports", PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2", protocol: IpProtocol.Tcp).Payload(3).Build()),
    ];

    internal override void Fill()
    {
        foreach (var port in new[] { 23u, 135u, 139u, 445u, 1900u, 3389u, 65535u })
        {
            _closed.TryGet(port >> 6, out var bits);
            _closed.Set(port >> 6, bits | (1UL << (int)(port & 63)));
        }
    }

    public override XdpAction Run(ref XdpContext context)
    {
        var data = context.Data;
        var end = context.DataEnd;
        var ethernet = (EthernetHeader*)data;
        var ip = (IPv4Header*)(ethernet + 1);
        if ((byte*)(ip + 1) > end || ethernet->EtherType != EtherTypes.IPv4)
        {
            return XdpAction.Pass;
        }

        if ((ip->FlagsOffset.Raw & NetworkUInt16.From(0x1FFF).Raw) != 0)
        {
            return XdpAction.Pass;
        }

        if (ip->Protocol != IpProtocol.Tcp && ip->Protocol != IpProtocol.Udp)
        {
            return XdpAction.Pass;
        }

        var header = (ip->VersionIhl & 15u) << 2;
        if (header < sizeof(IPv4Header))
        {
            return XdpAction.Drop;
        }

        var ports = (NetworkUInt16*)((byte*)ip + header);
        if ((byte*)(ports + 2) > end)
        {
            return XdpAction.Drop;
        }

        var port = (uint)ports[1].Value;
        ref var bits = ref _closed.Find(port >> 6);
        if (Unsafe.IsNullRef(ref bits) || ((bits >> (int)(port & 63)) & 1) == 0)
        {
            return XdpAction.Pass;
        }

        ref var count = ref _dropped.Find(ip->Protocol == IpProtocol.Udp ? 1u : 0u);
        if (!Unsafe.IsNullRef(ref count))
        {
            count++;
        }

        return XdpAction.Drop;
    }
}
