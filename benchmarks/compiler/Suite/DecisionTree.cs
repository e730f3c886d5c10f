using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Benchmarks.Compiler.Suite;

/// <summary>Sorts TCP packets into classes by a tree of comparisons of eight features.</summary>
internal sealed unsafe class DecisionTree : Algorithm
{
    private readonly PerCpuArrayMap<ulong> _classes = new(8);

    internal override IReadOnlyList<Sample> Samples { get; } =
    [
        new("SYN of a client", From(40000, 443, TcpFlags.Syn, 64240, 0)),
        new("SYN of a scanner", From(40000, 22, TcpFlags.Syn, 1024, 0, 38)),
        new("request", From(40000, 80, TcpFlags.Ack | TcpFlags.Psh, 502, 300)),
        new("short ACK", From(40000, 25, TcpFlags.Ack, 512, 0)),
        new("answer", From(443, 40000, TcpFlags.Ack, 501, 1400)),
        new("answer, not full", From(443, 40000, TcpFlags.Ack | TcpFlags.Psh, 600, 700)),
        new("between high ports", From(50000, 40000, TcpFlags.Ack, 600, 700, 128)),
        new("upload", From(50000, 80, TcpFlags.Ack, 600, 1200, 50)),
        new("ACK of a server", From(22, 40000, TcpFlags.Ack, 600, 0)),
        new("UDP", PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2").Udp(4000, 53).Payload(60).Build()),
    ];

    private static byte[] From(ushort source, ushort destination, TcpFlags flags, ushort window, int payload, byte timeToLive = 64) =>
        PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2", timeToLive).Tcp(source, destination, flags, window: window).Payload(payload).Build();

    public override XdpAction Run(ref XdpContext context)
    {
        var data = context.Data;
        var end = context.DataEnd;
        var ethernet = (EthernetHeader*)data;
        var ip = (IPv4Header*)(ethernet + 1);
        var tcp = (TcpHeader*)(ip + 1);
        if ((byte*)(tcp + 1) > end || ethernet->EtherType != EtherTypes.IPv4 || ip->VersionIhl != 0x45 || ip->Protocol != IpProtocol.Tcp)
        {
            return XdpAction.Pass;
        }

        var features = new Features
        {
            Length = ip->TotalLength.Value, TimeToLive = ip->TimeToLive, SourcePort = tcp->SourcePort.Value, DestinationPort = tcp->DestinationPort.Value,
            Window = tcp->Window.Value, Flags = (uint)tcp->Flags, Header = tcp->HeaderLength, TypeOfService = ip->TypeOfService,
        };
        var found = Classify(in features);
        ref var count = ref _classes.Find(in found);
        if (!Unsafe.IsNullRef(ref count))
        {
            count++;
        }

        return found >= 5 ? XdpAction.Drop : XdpAction.Pass;
    }

    /// <summary>The tree as a learner would print it.</summary>
    private static uint Classify(in Features f)
    {
        if (f.Length <= 120)
        {
            if (f.Flags <= 2)
            {
                if (f.Window <= 1024)
                {
                    return f.TimeToLive <= 40 ? 5u : 1;
                }

                return f.SourcePort <= 1023 ? 2u : f.Header <= 20 ? 5u : 0;
            }

            if (f.DestinationPort <= 1023)
            {
                if (f.Window <= 2920)
                {
                    return f.TimeToLive <= 64 ? 3u : 1;
                }

                return f.DestinationPort <= 79 ? 4u : 0;
            }

            return f.TypeOfService <= 8 ? (f.SourcePort <= 442 ? 1u : 2) : 6;
        }

        if (f.DestinationPort <= 442)
        {
            if (f.Length <= 576)
            {
                return f.Flags <= 16 ? (f.DestinationPort <= 80 ? 0u : 4) : 3;
            }

            return f.TimeToLive <= 55 ? (f.Window <= 29200 ? 7u : 2) : 6;
        }

        if (f.SourcePort <= 1023)
        {
            if (f.Length <= 1200)
            {
                return f.Window <= 501 ? 3u : f.Flags <= 23 ? 2u : 0;
            }

            return f.Header <= 24 ? 1u : 4;
        }

        return f.TypeOfService <= 31 ? (f.TimeToLive <= 120 ? 6u : 7) : 5;
    }

    private struct Features
    {
        internal uint Length;
        internal uint TimeToLive;
        internal uint SourcePort;
        internal uint DestinationPort;
        internal uint Window;
        internal uint Flags;
        internal uint Header;
        internal uint TypeOfService;
    }
}
