using Skep.Balancing;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Twin;
using Skep.Edge;
using Skep.Filtering;
using Skep.Fuzz;
using Skep.KernelTests.Surroundings;
using Skep.Packets;

namespace Skep.KernelTests.Edge;

/// <summary>
/// Packets as only the stack has them, through the real hook: partial checksums, super-packets, payload and headers spread over pages. What comes out is
/// what the twin says, bytes and counters.
/// </summary>
public sealed class TcEdgeShapeTests : IDisposable
{
    private const int EthernetHeader = 14, IPv4Header = 20, IPv6Header = 40, TcpChecksum = 16, UdpChecksum = 6;

    private readonly EdgeScene _kernel = EdgeScene.Create(Options, TimeProvider.System, m => m.Bind(KernelMapStorage.Create(m)));
    private readonly TwinEngine _twin = new();
    private readonly EdgeScene _inTwin;

    public TcEdgeShapeTests()
    {
        Kernel.Require();
        _inTwin = EdgeScene.Create(Options, _twin.Environment.TimeProvider, _twin.Bind);
    }

    private static EdgeOptions Options { get; } = EdgeScene.Everything with { Malformed = PacketPolicy.Drop, RateLimit = null };

    public void Dispose()
    {
        _kernel.Dispose();
        _twin.Dispose();
    }

    [KernelTheory]
    [InlineData(false, IpProtocol.Tcp)]
    [InlineData(false, IpProtocol.Udp)]
    [InlineData(true, IpProtocol.Tcp)]
    [InlineData(true, IpProtocol.Udp)]
    public void A_partial_checksum_stays_partial_and_right(bool isIPv6, IpProtocol protocol)
    {
        using var path = new TapPath(_kernel.TcProgram, offload: true);
        var (packet, shape) = Partial(isIPv6, protocol, 100);
        for (var i = 0; i < 3; i++)
        {
            var (sent, as_) = Through(path, packet, shape, ChecksumState.Partial);
            Assert.Equal(shape, as_);
            Assert.NotEqual(packet, sent);
        }
    }

    [KernelTheory]
    [InlineData(false, IpProtocol.Tcp)]
    [InlineData(false, IpProtocol.Udp)]
    [InlineData(true, IpProtocol.Tcp)]
    [InlineData(true, IpProtocol.Udp)]
    public void The_kernel_completes_it_to_the_checksum_of_the_packet_that_the_backend_gets(bool isIPv6, IpProtocol protocol)
    {
        using var path = new TapPath(_kernel.TcProgram, offload: false);
        var (packet, shape) = Partial(isIPv6, protocol, 101);
        path.Send(packet, shape);
        var (sent, completed) = path.Receive();
        Assert.Equal(default, completed);
        AssertWhole(sent, isIPv6, protocol);
    }

    [KernelTheory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_super_packet_is_rewritten_as_a_whole_and_counted_as_its_segments(bool isIPv6)
    {
        using var path = new TapPath(_kernel.TcProgram, offload: true);
        const int segments = 6, segment = 1400;
        var (packet, shape) = Partial(isIPv6, IpProtocol.Tcp, segments * segment);
        var headers = packet.Length - (segments * segment);
        shape = shape with { GsoType = isIPv6 ? (byte)4 : (byte)1, GsoSize = segment, LinearLength = headers };
        var (_, sent) = Through(path, packet, shape, ChecksumState.Partial, headers);
        Assert.Equal(shape with { LinearLength = 0 }, sent);
        Assert.All([_kernel, _inTwin], scene =>
        {
            Assert.True(scene.Maps.Counters.TryGet((uint)EdgeVerdict.Forwarded, out var perCpu));
            var counted = perCpu.Aggregate((Packets: 0ul, Bytes: 0ul), (sum, c) => (sum.Packets + c.Packets, sum.Bytes + c.Bytes));
            Assert.Equal(((ulong)segments, (ulong)(segments * (segment + headers))), counted);
        });
    }

    [KernelTheory]
    [InlineData(false, IpProtocol.Tcp, 14)]
    [InlineData(false, IpProtocol.Udp, 14)]
    [InlineData(true, IpProtocol.Tcp, 14)]
    [InlineData(true, IpProtocol.Udp, 30)]
    [InlineData(false, IpProtocol.Tcp, 40)]
    public void Headers_that_lie_on_other_pages_are_pulled_in(bool isIPv6, IpProtocol protocol, int linear)
    {
        using var path = new TapPath(_kernel.TcProgram, offload: true);
        var packet = Packet(isIPv6, protocol, 6000).Build();
        var (sent, _) = Through(path, packet, new PacketShape(LinearLength: linear), ChecksumState.None, linear);
        AssertWhole(sent, isIPv6, protocol);
    }

    [KernelTheory]
    [InlineData(false)]
    [InlineData(true)]
    public void Without_Ethernet_header_packets_begin_at_the_IP_header(bool isIPv6)
    {
        var (packet, shape) = Partial(isIPv6, IpProtocol.Tcp, 100);
        var expected = _twin.Run(_inTwin.TcProgram, packet, new TcRunOptions(Checksum: ChecksumState.Partial)).Packet[EthernetHeader..].ToArray();
        using var path = new TapPath(new TcEdgeProgram(_kernel.Maps, Options, hasEthernetHeader: false), offload: true, withoutEthernet: true);
        path.Send(packet.AsSpan(EthernetHeader), shape with { ChecksumStart = shape.ChecksumStart - EthernetHeader });
        Assert.Equal(expected, path.Receive().Packet);
    }

    [KernelFact]
    public void A_header_beyond_two_thousand_bytes_of_extension_headers_is_found()
    {
        using var path = new TapPath(_kernel.TcProgram, offload: true);
        var packet = PacketBuilder.Ethernet().IPv6(Scene.Client6, Scene.WebService6).Extension(IpProtocol.DestinationOptions, 2048)
            .Tcp(40100, 80, TcpFlags.Syn).Payload(5000).Build();
        Through(path, packet, new PacketShape(LinearLength: 14), ChecksumState.None, 14);
    }

    /// <summary>Sends the packet through kernel and twin and compares what comes out.</summary>
    private (byte[] Packet, PacketShape Shape) Through(
        TapPath path, byte[] packet, PacketShape shape, ChecksumState state, int linear = 0)
    {
        path.Send(packet, shape);
        var (sent, after) = path.Receive();
        var expected = _twin.Run(_inTwin.TcProgram, packet, new TcRunOptions(
            (uint)path.InputInterface, (uint)path.InputInterface, GsoSize: (uint)shape.GsoSize, LinearLength: (uint)linear, Checksum: state));
        Assert.Equal(TcAction.Unspec, expected.Action);
        Assert.Equal(expected.Packet.ToArray(), sent);
        return (sent, after);
    }

    private static PacketBuilder Packet(bool isIPv6, IpProtocol protocol, int payload)
    {
        var ip = isIPv6
            ? PacketBuilder.Ethernet().IPv6(Scene.Client6, protocol == IpProtocol.Tcp ? Scene.WebService6 : Scene.NameService6)
            : PacketBuilder.Ethernet().IPv4(Scene.Client, protocol == IpProtocol.Tcp ? Scene.WebService : Scene.NameService);
        return (protocol == IpProtocol.Tcp ? ip.Tcp(40100, 80, TcpFlags.Ack) : ip.Udp(40100, 53)).Payload(payload);
    }

    /// <summary>A packet whose checksum field holds the sum of the pseudo-header, and where the device is to put the checksum.</summary>
    private static (byte[] Packet, PacketShape Shape) Partial(bool isIPv6, IpProtocol protocol, int payload)
    {
        var packet = Packet(isIPv6, protocol, payload).Build();
        var transport = EthernetHeader + (isIPv6 ? IPv6Header : IPv4Header);
        var offset = protocol == IpProtocol.Tcp ? TcpChecksum : UdpChecksum;
        var message = packet.AsSpan(transport);
        var addresses = packet.AsSpan(EthernetHeader + (isIPv6 ? 8 : 12), isIPv6 ? 32 : 8);

        // Not the complement: the device adds the rest to what it finds.
        var sum = Sum(addresses) + (uint)protocol + (uint)message.Length;
        sum = (sum & 0xFFFF) + (sum >> 16);
        sum = (sum & 0xFFFF) + (sum >> 16);
        (message[offset], message[offset + 1]) = ((byte)(sum >> 8), (byte)sum);
        return (packet, new PacketShape(transport, offset));
    }

    private static void AssertWhole(byte[] packet, bool isIPv6, IpProtocol protocol)
    {
        var transport = EthernetHeader + (isIPv6 ? IPv6Header : IPv4Header);
        var message = packet.AsSpan(transport);
        var sum = Sum(packet.AsSpan(EthernetHeader + (isIPv6 ? 8 : 12), isIPv6 ? 32 : 8)) + (uint)protocol + (uint)message.Length + Sum(message);
        while (sum > 0xFFFF)
        {
            sum = (sum & 0xFFFF) + (sum >> 16);
        }

        Assert.Equal(0xFFFFu, sum);
    }

    private static uint Sum(ReadOnlySpan<byte> bytes)
    {
        var sum = 0u;
        for (var i = 0; i < bytes.Length; i++)
        {
            sum += (uint)bytes[i] << (i % 2 == 0 ? 8 : 0);
        }

        return sum;
    }
}
