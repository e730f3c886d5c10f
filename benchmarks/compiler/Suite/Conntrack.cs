using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Benchmarks.Compiler.Suite;

/// <summary>Follows TCP and UDP connections over IPv4 and IPv6, both directions under one key, and drops what fits into no connection.</summary>
internal sealed unsafe class Conntrack : Algorithm
{
    private readonly LruHashMap<Key, Connection> _connections = new(4096);
    private readonly PerCpuArrayMap<ulong> _totals = new(3);

    private enum State : uint
    {
        New,
        SynSent,
        SynReceived,
        Established,
        Closing,
        Closed,
        Invalid,
    }

    private enum Outcome : uint
    {
        Untracked,
        Tracked,
        Invalid,
    }

    internal override IReadOnlyList<Sample> Samples { get; } =
    [
        new("SYN", Out(TcpFlags.Syn), IsTimed: false),
        new("SYN ACK", Back(TcpFlags.Syn | TcpFlags.Ack), IsTimed: false),
        new("ACK", Out(TcpFlags.Ack)),
        new("data", Back(TcpFlags.Ack | TcpFlags.Psh)),
        new("FIN", Out(TcpFlags.Fin | TcpFlags.Ack), IsTimed: false),
        new("FIN back", Back(TcpFlags.Fin | TcpFlags.Ack), IsTimed: false),
        new("ACK after the end", Out(TcpFlags.Ack)),
        new("reset", PacketBuilder.Ethernet().IPv4("10.0.0.9", "10.0.0.2").Tcp(1, 2, TcpFlags.Rst).Build(), IsTimed: false),
        new("stray ACK", PacketBuilder.Ethernet().IPv4("10.0.0.8", "10.0.0.2").Tcp(1, 2).Build()),
        new("UDP over IPv6", PacketBuilder.Ethernet().IPv6("fd00::5", "fd00::2").Udp(1000, 53).Payload(30).Build()),
        new("UDP over IPv6, back", PacketBuilder.Ethernet().IPv6("fd00::2", "fd00::5").Udp(53, 1000).Payload(30).Build()),
        new("tagged SYN over IPv6", PacketBuilder.Ethernet().Vlan(5).IPv6("fd00::7", "fd00::2").Tcp(1000, 53, TcpFlags.Syn).Build()),
        new("fragment", PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2", fragmentOffset: 64, protocol: IpProtocol.Udp).Payload(32).Build()),
        new("ICMP", PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2").Icmp(8).Payload(32).Build()),
        new("ARP", PacketBuilder.Ethernet().Arp(1, "10.0.0.1", "10.0.0.2").Build()),
        new("cut short", Out(TcpFlags.Ack)[..40]),
    ];

    private static byte[] Out(TcpFlags flags) => PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2").Tcp(40000, 443, flags).Payload(16).Build();

    private static byte[] Back(TcpFlags flags) => PacketBuilder.Ethernet().IPv4("10.0.0.2", "10.0.0.1").Tcp(443, 40000, flags).Payload(16).Build();

    public override XdpAction Run(ref XdpContext context)
    {
        var outcome = Track(context.Data, context.DataEnd);
        ref var total = ref _totals.Find((uint)outcome);
        if (!Unsafe.IsNullRef(ref total))
        {
            total++;
        }

        return outcome == Outcome.Invalid ? XdpAction.Drop : XdpAction.Pass;
    }

    private Outcome Track(byte* data, byte* end)
    {
        var ethernet = (EthernetHeader*)data;
        if (data + sizeof(EthernetHeader) > end)
        {
            return Outcome.Invalid;
        }

        var type = ethernet->EtherType;
        var network = data + sizeof(EthernetHeader);
        if (type == EtherTypes.Vlan)
        {
            var tag = (VlanTag*)network;
            if ((byte*)(tag + 1) > end)
            {
                return Outcome.Invalid;
            }

            type = tag->EtherType;
            network += sizeof(VlanTag);
        }

        IpAddress source;
        IpAddress destination;
        byte* transport;
        IpProtocol protocol;
        if (type == EtherTypes.IPv4)
        {
            var ip = (IPv4Header*)network;
            if ((byte*)(ip + 1) > end)
            {
                return Outcome.Invalid;
            }

            var header = (ip->VersionIhl & 15u) << 2;
            if (header < sizeof(IPv4Header))
            {
                return Outcome.Invalid;
            }

            if ((ip->FlagsOffset.Raw & NetworkUInt16.From(0x3FFF).Raw) != 0)
            {
                return Outcome.Untracked;
            }

            source = IpAddress.FromRawIPv4(ip->Source.Raw);
            destination = IpAddress.FromRawIPv4(ip->Destination.Raw);
            protocol = ip->Protocol;
            transport = network + header;
        }
        else if (type == EtherTypes.IPv6)
        {
            var ip = (IPv6Header*)network;
            if ((byte*)(ip + 1) > end)
            {
                return Outcome.Invalid;
            }

            source = ip->Source;
            destination = ip->Destination;
            protocol = ip->NextHeader;
            transport = (byte*)(ip + 1);
        }
        else
        {
            return Outcome.Untracked;
        }

        Key key;
        uint from;
        uint to;
        var flags = TcpFlags.None;
        if (protocol == IpProtocol.Tcp)
        {
            var tcp = (TcpHeader*)transport;
            if ((byte*)(tcp + 1) > end)
            {
                return Outcome.Invalid;
            }

            from = tcp->SourcePort.Raw;
            to = tcp->DestinationPort.Raw;
            flags = tcp->Flags;
        }
        else if (protocol == IpProtocol.Udp)
        {
            var udp = (UdpHeader*)transport;
            if ((byte*)(udp + 1) > end)
            {
                return Outcome.Invalid;
            }

            from = udp->SourcePort.Raw;
            to = udp->DestinationPort.Raw;
        }
        else
        {
            return Outcome.Untracked;
        }

        if (Less(in source, in destination))
        {
            key.Low = source;
            key.High = destination;
            key.Ports = from | (to << 16);
        }
        else
        {
            key.Low = destination;
            key.High = source;
            key.Ports = to | (from << 16);
        }

        key.Protocol = (uint)protocol;

        ref var connection = ref _connections.Find(in key);
        var state = Unsafe.IsNullRef(ref connection) ? State.New : connection.State;
        var next = protocol == IpProtocol.Tcp ? Next(state, flags) : State.Established;
        if (next == State.Invalid)
        {
            return Outcome.Invalid;
        }

        if (!Unsafe.IsNullRef(ref connection))
        {
            connection.State = next;
            connection.Packets++;
            connection.Bytes += (ulong)(end - data);
            return Outcome.Tracked;
        }

        var created = new Connection { State = next, Packets = 1, Bytes = (ulong)(end - data) };
        _connections.Update(in key, in created, UpdateMode.Any);
        return Outcome.Tracked;
    }

    private static bool Less(in IpAddress a, in IpAddress b) => a.RawUpper != b.RawUpper ? a.RawUpper < b.RawUpper : a.RawLower < b.RawLower;

    private static State Next(State state, TcpFlags flags)
    {
        if ((flags & TcpFlags.Rst) != 0)
        {
            return State.Closed;
        }

        switch (state)
        {
            case State.New:
            case State.Closed:
                return (flags & (TcpFlags.Syn | TcpFlags.Ack)) == TcpFlags.Syn ? State.SynSent : State.Invalid;
            case State.SynSent:
                return (flags & (TcpFlags.Syn | TcpFlags.Ack)) == (TcpFlags.Syn | TcpFlags.Ack) ? State.SynReceived
                    : (flags & TcpFlags.Syn) != 0 ? State.SynSent : State.Invalid;
            case State.SynReceived:
                return (flags & TcpFlags.Ack) != 0 && (flags & TcpFlags.Syn) == 0 ? State.Established
                    : (flags & TcpFlags.Syn) != 0 ? State.SynReceived : State.Invalid;
            case State.Established:
                return (flags & TcpFlags.Fin) != 0 ? State.Closing : State.Established;
            case State.Closing:
                return (flags & TcpFlags.Fin) != 0 ? State.Closed : State.Closing;
            default:
                return State.Invalid;
        }
    }

    private struct Key
    {
        internal IpAddress Low;
        internal IpAddress High;
        internal uint Ports;
        internal uint Protocol;
    }

    private struct Connection
    {
        internal State State;
        internal uint Reserved;
        internal ulong Packets;
        internal ulong Bytes;
    }
}
