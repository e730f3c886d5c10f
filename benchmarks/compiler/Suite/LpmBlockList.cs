using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Benchmarks.Compiler.Suite;

/// <summary>Drops what comes from a blocked prefix and counts it on the rule; rules may be for show.</summary>
internal sealed unsafe class LpmBlockList : Algorithm
{
    private readonly LpmTrie<Prefix, Rule> _blocked = new(1024);
    private readonly PerCpuArrayMap<ulong> _totals = new(2);

    internal override IReadOnlyList<Sample> Samples { get; } =
    [
        new("not blocked", From("10.0.0.1")),
        new("blocked by a /24", From("192.0.2.9")),
        new("blocked by a /32", From("203.0.113.7")),
        new("only watched", From("198.51.100.200")),
        new("blocked behind two tags", PacketBuilder.Ethernet().Vlan(7, service: true).Vlan(9).IPv4("192.0.2.9", "10.0.0.2").Tcp(1, 2).Build()),
        new("IPv6", PacketBuilder.Ethernet().IPv6("fd00::1", "fd00::2").Tcp(1, 2).Build()),
        new("cut short", From("192.0.2.9")[..33]),
    ];

    internal override void Fill()
    {
        Block("192.0.2.0", 24, audit: false);
        Block("203.0.113.7", 32, audit: false);
        Block("198.51.100.128", 25, audit: true);
        for (var i = 0; i < 200; i++)
        {
            Block($"100.64.{i}.0", 24, audit: i % 2 == 0);
        }
    }

    private void Block(string address, uint length, bool audit) =>
        _blocked.Set(new Prefix { Length = length, Address = IpAddress.Parse(address).RawIPv4 }, new Rule { Audit = audit ? 1u : 0 });

    private static byte[] From(string source) => PacketBuilder.Ethernet().IPv4(source, "10.0.0.2").Tcp(1000, 80).Build();

    public override XdpAction Run(ref XdpContext context)
    {
        var data = context.Data;
        var end = context.DataEnd;
        var ethernet = (EthernetHeader*)data;
        if (data + sizeof(EthernetHeader) > end)
        {
            return XdpAction.Drop;
        }

        var type = ethernet->EtherType;
        var network = data + sizeof(EthernetHeader);
        for (var tags = 0; tags < 2 && (type == EtherTypes.Vlan || type == EtherTypes.ServiceVlan); tags++)
        {
            var tag = (VlanTag*)network;
            if ((byte*)(tag + 1) > end)
            {
                return XdpAction.Drop;
            }

            type = tag->EtherType;
            network += sizeof(VlanTag);
        }

        if (type != EtherTypes.IPv4)
        {
            return XdpAction.Pass;
        }

        var ip = (IPv4Header*)network;
        if ((byte*)(ip + 1) > end)
        {
            return XdpAction.Drop;
        }

        var key = new Prefix { Length = 32, Address = ip->Source.Raw };
        ref var rule = ref _blocked.Find(in key);
        if (Unsafe.IsNullRef(ref rule))
        {
            return XdpAction.Pass;
        }

        Interlocked.Increment(ref rule.Packets);
        Interlocked.Add(ref rule.Bytes, (ulong)(end - data));
        ref var total = ref _totals.Find(rule.Audit != 0 ? 1u : 0u);
        if (!Unsafe.IsNullRef(ref total))
        {
            total++;
        }

        return rule.Audit != 0 ? XdpAction.Pass : XdpAction.Drop;
    }

    private struct Prefix
    {
        internal uint Length;
        internal uint Address;
    }

    private struct Rule
    {
        internal uint Audit;
        internal uint Reserved;
        internal ulong Packets;
        internal ulong Bytes;
    }
}
