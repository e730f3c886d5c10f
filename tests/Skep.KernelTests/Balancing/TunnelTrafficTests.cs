using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using Skep.Balancing;
using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Edge;
using Skep.KernelTests.Surroundings;
using Skep.Packets;

namespace Skep.KernelTests.Balancing;

/// <summary>
/// Real TCP in outer headers over a veth with every offload on: super-packets with partial checksums come to the backend's end at traffic control, and leave it whole.
/// </summary>
public sealed class TunnelTrafficTests : IDisposable
{
    private const ushort Port = 80;
    private readonly EdgeOptions _options = new()
    {
        RingSize = 251, MaxServices = 8, MaxBackends = 16, MaxConnections = 64, BlockAddresses = false, BlockPrefixes = false, Balance = false, Measure = false,
        Decapsulate = true, MaxFlows = 64,
    };

    private readonly EdgeMaps _maps;
    private readonly EdgeState _state;

    public TunnelTrafficTests()
    {
        Kernel.Require();
        _maps = new EdgeMaps(_options);
        foreach (var map in _maps.All)
        {
            map.Bind(KernelMapStorage.Create(map));
        }

        _state = new EdgeState(_maps, TimeProvider.System);
        var addresses = ImmutableDictionary.CreateBuilder<IpAddress, TunnelAddress>();
        foreach (var isIPv6 in new[] { false, true })
        {
            addresses.Add(Server(isIPv6), TunnelAddress.Outer);
            addresses.Add(Virtual(isIPv6), TunnelAddress.Virtual);
        }

        Assert.Empty(_state.Tunnels.Apply(new(addresses.ToImmutable(), [IpPrefix.Parse("10.89.1.1"), IpPrefix.Parse("fd89:1::1")])));
    }

    public void Dispose()
    {
        foreach (var map in _maps.All)
        {
            map.Dispose();
        }
    }

    [KernelTheory]
    [InlineData(false, false, false)]
    [InlineData(true, true, false)]
    [InlineData(false, true, false)]
    [InlineData(true, false, false)]
    [InlineData(false, false, true)]
    [InlineData(true, true, true)]
    [InlineData(false, true, true)]
    [InlineData(true, false, true)]
    public void Super_packets_come_out_whole(bool isIPv6, bool outerIPv6, bool inUdp)
    {
        const int size = 16 << 20;
        using var client = new TestNamespace();
        using var server = new TestNamespace();
        var (here, there) = client.Connect(server, "eth0", "eth0", IPAddress.Parse("10.89.1.1"), IPAddress.Parse("10.89.1.2"));
        client.Run(() =>
        {
            RtNetlink.AddAddress(here, IPAddress.Parse("fd89:1::1"), 64);
            RtNetlink.AddRoute(Virtual(isIPv6).ToIPAddress(), isIPv6 ? 128 : 32, Server(isIPv6).ToIPAddress());
        });
        server.Run(() =>
        {
            RtNetlink.AddAddress(there, IPAddress.Parse("fd89:1::2"), 64);
            RtNetlink.AddAddress(RtNetlink.IndexOf("lo"), Virtual(isIPv6).ToIPAddress(), isIPv6 ? 128 : 32);

            // A link that carries the outer headers beside what the client sends.
            RtNetlink.SetMtu(there, 2000);
        });
        var egress = new OuterHeaders(Virtual(isIPv6), outerIPv6, inUdp);
        using var encapsulating = ProgramLoader.Load(ProgramCompiler.Compile(egress));
        using var decapsulating = ProgramLoader.Load(ProgramCompiler.Compile(new TcEdgeProgram(_maps, _options)));
        using var out1 = client.Run(() => TcxLink.Attach(encapsulating, here, TcDirection.Egress));
        using var in1 = server.Run(() => TcxLink.Attach(decapsulating, there, TcDirection.Ingress));

        var family = isIPv6 ? AddressFamily.InterNetworkV6 : AddressFamily.InterNetwork;
        using var listener = server.Run(() => new Socket(family, SocketType.Stream, ProtocolType.Tcp));
        listener.Bind(new IPEndPoint(Virtual(isIPv6).ToIPAddress(), Port));
        listener.Listen();
        var received = Task.Run(() =>
        {
            using var accepted = listener.Accept();
            accepted.ReceiveTimeout = 20_000;
            var all = new byte[size];
            for (var length = 0; length < size;)
            {
                var n = accepted.Receive(all.AsSpan(length));
                Assert.True(n > 0, $"the connection ended after {length} bytes");
                length += n;
            }

            accepted.Send([7]);
            return all;
        });
        using var sender = client.Run(() => new Socket(family, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = 20_000, SendTimeout = 20_000 });
        sender.Connect(new IPEndPoint(Virtual(isIPv6).ToIPAddress(), Port));
        var data = new byte[size];
        new Random(1).NextBytes(data);
        for (var sent = 0; sent < size;)
        {
            sent += sender.Send(data.AsSpan(sent));
        }

        var answer = new byte[1];
        Assert.Equal(1, sender.Receive(answer));
        Assert.True(received.GetAwaiter().GetResult().AsSpan().SequenceEqual(data), "other bytes came than were sent");
        var counters = _state.ReadCounters();
        Assert.True(egress.SuperPackets.Value > 50, $"only {egress.SuperPackets.Value} packets were super-packets");
        Assert.InRange(counters[EdgeVerdict.Decapsulated].Bytes, (ulong)size, (ulong)size * 2);
        Assert.Equal(0ul, counters[EdgeVerdict.TunnelRefused].Packets);
    }

    private static IpAddress Server(bool isIPv6) => IpAddress.Parse(isIPv6 ? "fd89:1::2" : "10.89.1.2");

    private static IpAddress Virtual(bool isIPv6) => IpAddress.Parse(isIPv6 ? "fd89:100::1" : "10.89.100.1");

    /// <summary>What a balancer does, on the client's way out: outer headers around packets for an address, super-packets as they are.</summary>
    private sealed unsafe class OuterHeaders(IpAddress destination, bool outerIPv6, bool inUdp) : TcProgram
    {
        private readonly IpAddress _destination = destination;
        private readonly bool _outerIPv6 = outerIPv6;
        private readonly bool _inUdp = inUdp;
        private readonly uint _overhead = (outerIPv6 ? 40u : 20u) + (inUdp ? 8u : 0);
        private readonly RoomFlags _flags = RoomFlags.FixedSegments | (outerIPv6 ? RoomFlags.EncapsulatesInIPv6 : RoomFlags.EncapsulatesInIPv4)
            | (inUdp ? RoomFlags.EncapsulatesInUdp : RoomFlags.None);
        private readonly IpAddress _from = IpAddress.Parse(outerIPv6 ? "fd89:1::1" : "10.89.1.1");
        private readonly IpAddress _to = Server(outerIPv6);

        public Global<ulong> SuperPackets { get; } = new("super_packets");

        public override TcAction Run(ref TcContext context)
        {
            if (IpPacket.Parse(context.Data, context.DataEnd, out var packet) != ParseStatus.Ip || packet.Destination != _destination)
            {
                return TcAction.Unspec;
            }

            var protocol = packet.IsIPv6 ? IpProtocol.IPv6 : IpProtocol.IPv4;
            var length = context.Length - 14;
            if (context.AdjustRoom((int)_overhead, RoomMode.BehindLinkHeader, _flags) != 0)
            {
                return TcAction.Shot;
            }

            var start = context.Data;
            if (start + 14 + 40 + 8 > context.DataEnd)
            {
                return TcAction.Shot;
            }

            SuperPackets.Value += context.GsoSize != 0 ? 1u : 0;
            ((EthernetHeader*)start)->EtherType = _outerIPv6 ? EtherTypes.IPv6 : EtherTypes.IPv4;
            var payload = length + (_inUdp ? 8u : 0);
            var carried = _inUdp ? IpProtocol.Udp : protocol;
            if (_outerIPv6)
            {
                var ip = (IPv6Header*)(start + 14);
                ip->VersionClassFlow = NetworkUInt32.From(0x60000000);
                ip->PayloadLength = NetworkUInt16.From((ushort)payload);
                ip->NextHeader = carried;
                ip->HopLimit = 64;
                ip->Source = _from;
                ip->Destination = _to;
            }
            else
            {
                var ip = (IPv4Header*)(start + 14);
                ip->VersionIhl = 0x45;
                ip->TypeOfService = 0;
                ip->TotalLength = NetworkUInt16.From((ushort)(payload + 20));
                ip->Identification = NetworkUInt16.FromRaw(0);
                ip->FlagsOffset = NetworkUInt16.From(0x4000);
                ip->TimeToLive = 64;
                ip->Protocol = carried;
                ip->Source = NetworkUInt32.FromRaw(_from.RawIPv4);
                ip->Destination = NetworkUInt32.FromRaw(_to.RawIPv4);
                ip->Checksum = NetworkUInt16.FromRaw(0);
                var sum = 0UL;
                for (var i = 0; i < 20; i += 2)
                {
                    sum += *(ushort*)(start + 14 + i);
                }

                ip->Checksum = NetworkUInt16.FromRaw((ushort)~InternetChecksum.Fold(sum));
            }

            if (_inUdp)
            {
                var udp = (UdpHeader*)(start + 14 + _overhead - 8);
                udp->SourcePort = NetworkUInt16.From(50000);
                udp->DestinationPort = NetworkUInt16.From(GueHeader.Port);
                udp->Length = NetworkUInt16.From((ushort)payload);
                udp->Checksum = NetworkUInt16.FromRaw(0);
            }

            return TcAction.Unspec;
        }
    }
}
