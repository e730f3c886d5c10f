using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Benchmarks.Compiler.Suite;

/// <summary>What a flow exporter keeps of every flow: times, packets, bytes, lengths, flags, a histogram.</summary>
internal sealed unsafe class FlowAccounting : Algorithm
{
    private readonly LruHashMap<Key, Flow> _flows = new(4096);

    internal override IReadOnlySet<string> TimedMaps { get; } = new HashSet<string> { "flows" };

    internal override IReadOnlyList<Sample> Samples { get; } =
    [
        new("first of a TCP flow", Tcp(TcpFlags.Syn, 0), IsTimed: false),
        new("short one", Tcp(TcpFlags.Ack, 10), AdvanceNanoseconds: 1000),
        new("middle one", Tcp(TcpFlags.Ack, 400), AdvanceNanoseconds: 1000),
        new("long one, less time to live", Tcp(TcpFlags.Ack | TcpFlags.Fin, 1400, 60), AdvanceNanoseconds: 1000),
        new("UDP", PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2", options: new byte[4]).Udp(1000, 53).Payload(700).Build()),
        new("UDP again", PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2", options: new byte[4]).Udp(1000, 53).Payload(900).Build()),
        new("ICMP", PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2").Icmp(8).Payload(56).Build()),
        new("IPv6", PacketBuilder.Ethernet().IPv6("fd00::1", "fd00::2").Tcp(1000, 23).Build()),
        new("cut short", Tcp(TcpFlags.Ack, 0)[..44]),
    ];

    private static byte[] Tcp(TcpFlags flags, int payload, byte timeToLive = 64) =>
        PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2", timeToLive).Tcp(40000, 443, flags).Payload(payload).Build();

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

        var header = (ip->VersionIhl & 15u) << 2;
        if (header < sizeof(IPv4Header))
        {
            return XdpAction.Pass;
        }

        var key = new Key { Source = ip->Source.Raw, Destination = ip->Destination.Raw, Protocol = (uint)ip->Protocol };
        var transport = (byte*)ip + header;
        var flags = TcpFlags.None;
        if (key.Protocol == (uint)IpProtocol.Tcp)
        {
            var tcp = (TcpHeader*)transport;
            if ((byte*)(tcp + 1) > end)
            {
                return XdpAction.Pass;
            }

            key.Ports = tcp->SourcePort.Raw | ((uint)tcp->DestinationPort.Raw << 16);
            flags = tcp->Flags;
        }
        else if (key.Protocol == (uint)IpProtocol.Udp)
        {
            var udp = (UdpHeader*)transport;
            if ((byte*)(udp + 1) > end)
            {
                return XdpAction.Pass;
            }

            key.Ports = udp->SourcePort.Raw | ((uint)udp->DestinationPort.Raw << 16);
        }

        var length = (uint)ip->TotalLength.Value;
        var now = Helper.KtimeGetNs();
        ref var flow = ref _flows.Find(in key);
        if (Unsafe.IsNullRef(ref flow))
        {
            var created = new Flow
            {
                First = now, Last = now, Packets = 1, Bytes = length, Shortest = length, Longest = length,
                Flags = flags, LeastTimeToLive = ip->TimeToLive, TypeOfService = ip->TypeOfService,
            };
            switch (BucketOf(length))
            {
                case 0:
                    created.Buckets[0] = 1;
                    break;
                case 1:
                    created.Buckets[1] = 1;
                    break;
                case 2:
                    created.Buckets[2] = 1;
                    break;
                default:
                    created.Buckets[3] = 1;
                    break;
            }

            _flows.Update(in key, in created, UpdateMode.Any);
            return XdpAction.Pass;
        }

        flow.Last = now;
        flow.Packets++;
        flow.Bytes += length;
        if (length < flow.Shortest)
        {
            flow.Shortest = length;
        }

        if (length > flow.Longest)
        {
            flow.Longest = length;
        }

        flow.Flags |= flags;
        if (ip->TimeToLive < flow.LeastTimeToLive)
        {
            flow.LeastTimeToLive = ip->TimeToLive;
        }

        flow.Buckets[BucketOf(length)]++;
        return XdpAction.Pass;
    }

    private static uint BucketOf(uint length) => length <= 128 ? 0u : length <= 512 ? 1u : length <= 1024 ? 2u : 3u;

    private struct Key
    {
        internal uint Source;
        internal uint Destination;
        internal uint Ports;
        internal uint Protocol;
    }

    private struct Flow
    {
        internal ulong First;
        internal ulong Last;
        internal ulong Packets;
        internal ulong Bytes;
        internal uint Shortest;
        internal uint Longest;
        internal TcpFlags Flags;
        internal byte LeastTimeToLive;
        internal byte TypeOfService;
        internal byte Reserved;
        internal fixed uint Buckets[4];
    }
}
