using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Benchmarks.Compiler.Suite;

/// <summary>Reads the name a DNS query asks for, hashes it in small letters, and looks the hash up in a block list.</summary>
internal sealed unsafe class DnsName : Algorithm
{
    private const uint Longest = 96;
    private const uint Queries = 0;
    private const uint Matches = 1;
    private const uint Broken = 2;
    private const ulong FnvOffset = 0xCBF29CE484222325;
    private const ulong FnvPrime = 0x100000001B3;

    private readonly HashMap<ulong, uint> _names = new(1024);
    private readonly PerCpuArrayMap<ulong> _totals = new(3);

    internal override IReadOnlyList<Sample> Samples { get; } =
    [
        new("name not listed", Query("www.example.org")),
        new("listed name in mixed case", Query("Tracker.Ads.EXAMPLE.com")),
        new("a long one", Query("a-rather-long-label-of-letters.and-another-one-as-long.cdn.example.net")),
        new("compressed name", Message([0xc0, 0x0c, 0, 1, 0, 1])),
        new("name cut short", Message([20, (byte)'a', (byte)'b'])),
        new("answer", Message([0], flags: 0x80)),
        new("another port", PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2").Udp(4000, 54).Payload(60).Build()),
        new("TCP", PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2").Tcp(4000, 53).Payload(60).Build()),
    ];

    internal override void Fill() => _names.Set(HashOf("tracker.ads.example.com"), (uint)XdpAction.Drop);

    private static ulong HashOf(string name)
    {
        var hash = FnvOffset;
        foreach (var c in "." + name)
        {
            hash = (hash ^ c) * FnvPrime;
        }

        return hash;
    }

    private static byte[] Query(string name) => Message([.. name.Split('.').SelectMany(l => l.Select(c => (byte)c).Prepend((byte)l.Length)), 0, 0, 1, 0, 1]);

    private static byte[] Message(byte[] question, byte flags = 1) => PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2").Udp(4000, 53)
        .Payload([0x12, 0x34, flags, 0, 0, 1, 0, 0, 0, 0, 0, 0, .. question]).Build();

    public override XdpAction Run(ref XdpContext context)
    {
        var data = context.Data;
        var end = context.DataEnd;
        var ethernet = (EthernetHeader*)data;
        var ip = (IPv4Header*)(ethernet + 1);
        var udp = (UdpHeader*)(ip + 1);
        var dns = (DnsHeader*)(udp + 1);
        if ((byte*)(dns + 1) > end || ethernet->EtherType != EtherTypes.IPv4 || ip->VersionIhl != 0x45 || ip->Protocol != IpProtocol.Udp)
        {
            return XdpAction.Pass;
        }

        if (udp->DestinationPort != NetworkUInt16.From(53) || (dns->Flags.Raw & NetworkUInt16.From(0x8000).Raw) != 0 || dns->Questions != NetworkUInt16.From(1))
        {
            return XdpAction.Pass;
        }

        Count(Queries);

        // The hash of the name in small letters; the length bytes count as dots.
        var at = (byte*)(dns + 1);
        var hash = FnvOffset;
        var left = 0u;
        for (var i = 0u; i < Longest; i++)
        {
            if (at + 1 > end)
            {
                break;
            }

            var c = *at++;
            if (left == 0)
            {
                if (c == 0)
                {
                    ref var verdict = ref _names.Find(in hash);
                    if (Unsafe.IsNullRef(ref verdict))
                    {
                        return XdpAction.Pass;
                    }

                    Count(Matches);
                    return (XdpAction)verdict;
                }

                if (c > 63)
                {
                    break;
                }

                left = c;
                c = (byte)'.';
            }
            else
            {
                if (c >= 'A' && c <= 'Z')
                {
                    c += 'a' - 'A';
                }

                left--;
            }

            hash = (hash ^ c) * FnvPrime;
        }

        Count(Broken);
        return XdpAction.Drop;
    }

    private void Count(uint what)
    {
        ref var total = ref _totals.Find(in what);
        if (!Unsafe.IsNullRef(ref total))
        {
            total++;
        }
    }

    private struct DnsHeader
    {
        internal NetworkUInt16 Id;
        internal NetworkUInt16 Flags;
        internal NetworkUInt16 Questions;
        internal NetworkUInt16 Answers;
        internal NetworkUInt16 Authorities;
        internal NetworkUInt16 Additional;
    }
}
