using System.Buffers.Binary;
using Skep.Bpf.Programming;
using Skep.Bpf.Twin;
using Skep.Corpus;
using Skep.Edge;
using Skep.Filtering;
using Skep.Packets;

namespace Skep.Tests.Edge;

/// <summary>The stages at traffic control: what XDP does, on packets as the stack has them.</summary>
public sealed class TcEdgeProgramTests
{
    private const string Client = "192.0.2.10", Vip = "198.51.100.1", Backend = "10.1.0.1";

    [Theory]
    [InlineData(0)]
    [InlineData(14)]
    [InlineData(40)]
    public void Every_packet_of_the_corpus_comes_out_as_at_XDP_however_little_of_it_is_readable_at_first(int linear)
    {
        using var xdp = new EdgeBed(EdgeCorpus.Options, EdgeCorpus.Prepare);
        using var tc = new EdgeBed(EdgeCorpus.Options, EdgeCorpus.Prepare);
        var program = new TcEdgeProgram(tc.Maps, tc.Options);
        foreach (var bed in new[] { xdp, tc })
        {
            bed.Twin.Environment.Advance(TimeSpan.FromSeconds(1));
        }

        foreach (var packet in EdgeCorpus.Packets)
        {
            var (verdict, expected) = xdp.Run(packet.Frame);
            var result = tc.Twin.Run(program, packet.Frame, new TcRunOptions(LinearLength: (uint)linear));
            Assert.Equal((packet.Name, TcEdgeProgram.ActionOf(verdict, tc.Options)), (packet.Name, result.Action));
            Assert.True(result.Packet.SequenceEqual(expected), packet.Name);
            Assert.Equal(xdp.State.ReadCounters(), tc.State.ReadCounters());
        }
    }

    [Fact]
    public void Payload_is_never_pulled_in()
    {
        using var bed = Balancing();
        var program = new TcEdgeProgram(bed.Maps, bed.Options);
        var frame = PacketBuilder.Ethernet().IPv4(Client, Vip).Tcp(1000, 80).Payload(60_000).Build();
        var asSent = bed.Twin.Run(program, frame, new TcRunOptions(LinearLength: 54, GsoSize: 1448));
        Assert.Equal((TcAction.Unspec, 54u), (asSent.Action, asSent.LinearLength));
        var hidden = bed.Twin.Run(program, frame, new TcRunOptions(LinearLength: 14, GsoSize: 1448));
        Assert.Equal((TcAction.Unspec, 256u), (hidden.Action, hidden.LinearLength));
    }

    [Theory]
    [InlineData(IpProtocol.Tcp, 80)]
    [InlineData(IpProtocol.Udp, 53)]
    public void The_sum_that_a_device_made_stays_the_sum_of_the_packet(IpProtocol protocol, int port)
    {
        foreach (var isIPv6 in new[] { false, true })
        {
            using var bed = Balancing();
            var ip = isIPv6 ? PacketBuilder.Ethernet().IPv6("2001:db8:c::1", "2001:db8:f::1") : PacketBuilder.Ethernet().IPv4(Client, Vip);
            var frame = (protocol == IpProtocol.Tcp ? ip.Tcp(1000, (ushort)port) : ip.Udp(1000, (ushort)port)).Payload(33).Build();
            AssertSumKept(bed, frame);
        }
    }

    [Fact]
    public void The_sum_of_fragments_stays_right_too()
    {
        using var bed = Balancing();
        var first = PacketBuilder.Ethernet().IPv6("2001:db8:c::1", "2001:db8:f::1").FragmentHeader(7, moreFragments: true).Udp(1000, 53).Payload(32).Build();
        var later = PacketBuilder.Ethernet().IPv6("2001:db8:c::1", "2001:db8:f::1").FragmentHeader(7, offset: 40, nextHeader: IpProtocol.Udp).Payload(16).Build();
        AssertSumKept(bed, first);
        AssertSumKept(bed, later);
        AssertSumKept(bed, PacketBuilder.Ethernet().IPv4(Client, Vip, identification: 9, moreFragments: true).Udp(1000, 53).Payload(32).Build());
        AssertSumKept(bed, PacketBuilder.Ethernet().IPv4(Client, Vip, identification: 9, fragmentOffset: 40, protocol: IpProtocol.Udp).Payload(16).Build());
    }

    [Fact]
    public void A_missing_UDP_checksum_stays_missing()
    {
        using var bed = Balancing();
        var frame = PacketBuilder.Ethernet().IPv4(Client, Vip).Udp(1000, 53, withoutChecksum: true).Payload(9).Build();
        var result = bed.Twin.Run(new TcEdgeProgram(bed.Maps, bed.Options), frame);
        Assert.Equal(0, BitConverter.ToUInt16(result.Packet[(34 + 6)..]));
    }

    [Fact]
    public void A_packet_whose_tag_was_taken_out_is_balanced_like_any_other()
    {
        using var bed = Balancing();
        var frame = PacketBuilder.Ethernet().IPv4(Client, Vip).Tcp(1000, 80).Build();
        var result = bed.Twin.Run(new TcEdgeProgram(bed.Maps, bed.Options), frame, new TcRunOptions(VlanPresent: true));
        WireCheck.Of(result.Packet.ToArray()).AssertIs(Client, 1000, Backend, 8080);
    }

    [Fact]
    public void A_super_packet_takes_a_token_for_each_of_its_packets_but_never_more_than_there_are()
    {
        using var bed = new EdgeBed(EdgeBed.Small with { Balance = false, RateLimit = new SourceRate(1, 10) });
        var program = new TcEdgeProgram(bed.Maps, bed.Options);
        var frame = PacketBuilder.Ethernet().IPv4(Client, "192.0.2.1").Tcp(1, 2).Payload(4000).Build();
        TcAction Send(uint size) => bed.Twin.Run(program, frame, new TcRunOptions(GsoSize: size)).Action;

        Assert.Equal(TcAction.Unspec, Send(1000));
        Assert.Equal(TcAction.Unspec, Send(1000));
        Assert.Equal(TcAction.Unspec, Send(1000));
        Assert.Equal(TcAction.Shot, Send(1000));
        bed.Twin.Environment.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal((TcAction.Unspec, TcAction.Unspec, TcAction.Shot), (Send(0), Send(0), Send(0)));

        bed.Twin.Environment.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal((TcAction.Unspec, TcAction.Shot), (Send(10), Send(0)));
        bed.Twin.Environment.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(TcAction.Unspec, Send(0));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Past_the_stack_a_packet_goes_to_the_next_hop_with_one_hop_less(bool isIPv6)
    {
        using var bed = Balancing();
        var program = new TcEdgeProgram(bed.Maps, bed.Options with { BypassStack = true });
        var asked = new List<FibRoute>();
        bed.Twin.Environment.Routes = (ref FibRoute route, FibFlags _) =>
        {
            asked.Add(route);
            route.Interface = 9;
            return FibResult.Success;
        };
        byte[] Frame(byte hops) => (isIPv6
            ? PacketBuilder.Ethernet().IPv6("2001:db8:c::1", "2001:db8:f::1", hops)
            : PacketBuilder.Ethernet().IPv4(Client, Vip, timeToLive: hops)).Tcp(1000, 80).Payload(5).Build();

        var result = bed.Twin.Run(program, Frame(64), new TcRunOptions(Interface: 4));
        Assert.Equal((TcAction.Redirect, new PacketTarget(PacketTargetKind.Neighbour, 9)), (result.Action, result.Target));
        Assert.Equal(63, result.Packet[isIPv6 ? 14 + 7 : 14 + 8]);
        WireCheck.Of(result.Packet.ToArray()).AssertIs(isIPv6 ? "2001:db8:c::1" : Client, 1000, isIPv6 ? "2001:db8:b::1" : Backend, 8080);
        var route = Assert.Single(asked);
        Assert.Equal((4u, (byte)6, isIPv6 ? (byte)10 : (byte)2), (route.Interface, route.Protocol, route.Family));
        Assert.Equal(isIPv6 ? BitConverter.ToUInt32([0, 0, 0, 1]) : BitConverter.ToUInt32([10, 1, 0, 1]), isIPv6 ? route.Destination3 : route.Destination0);

        // Where it would leave by a virtual pair, it goes in at the other end, with the Ethernet addresses of the next hop.
        bed.Maps.Peers.Set(9, 1);
        bed.Twin.Environment.Routes = (ref FibRoute way, FibFlags _) =>
        {
            (way.Interface, way.Mac0, way.Mac1, way.Mac2) = (9, 0x03020100, 0x07060504, 0x0B0A0908);
            return FibResult.Success;
        };
        result = bed.Twin.Run(program, Frame(64), new TcRunOptions(Interface: 4));
        Assert.Equal((TcAction.Redirect, new PacketTarget(PacketTargetKind.Peer, 9)), (result.Action, result.Target));
        Assert.Equal([6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5], result.Packet[..12].ToArray());
        WireCheck.Of(result.Packet.ToArray()).AssertIs(isIPv6 ? "2001:db8:c::1" : Client, 1000, isIPv6 ? "2001:db8:b::1" : Backend, 8080);

        // A neighbour that has not answered is asked by the kernel.
        bed.Twin.Environment.Routes = (ref FibRoute way, FibFlags _) =>
        {
            way.Interface = 9;
            return FibResult.NoNeighbour;
        };
        Assert.Equal(PacketTargetKind.Neighbour, bed.Twin.Run(program, Frame(64)).Target.Kind);

        // The last hop, a tag that is not in the packet, and what the table does not forward are for the stack.
        Assert.Equal(TcAction.Unspec, bed.Twin.Run(program, Frame(1)).Action);
        Assert.Equal(TcAction.Unspec, bed.Twin.Run(program, Frame(64), new TcRunOptions(VlanPresent: true)).Action);
        bed.Twin.Environment.Routes = (ref FibRoute _, FibFlags _) => FibResult.FragmentationNeeded;
        result = bed.Twin.Run(program, Frame(64));
        Assert.Equal((TcAction.Unspec, 64), (result.Action, (int)result.Packet[isIPv6 ? 14 + 7 : 14 + 8]));
        WireCheck.Of(result.Packet.ToArray()).AssertIs(isIPv6 ? "2001:db8:c::1" : Client, 1000, isIPv6 ? "2001:db8:b::1" : Backend, 8080);
    }

    private static EdgeBed Balancing() => new(prepare: s => Assert.Empty(s.Balancer.Apply(
    [
        EdgeBed.Service("tcp", Vip, 80, IpProtocol.Tcp, EdgeBed.Backend(Backend, 8080)),
        EdgeBed.Service("udp", Vip, 53, IpProtocol.Udp, EdgeBed.Backend(Backend, 53)),
        EdgeBed.Service("tcp6", "2001:db8:f::1", 80, IpProtocol.Tcp, EdgeBed.Backend("2001:db8:b::1", 8080)),
        EdgeBed.Service("udp6", "2001:db8:f::1", 53, IpProtocol.Udp, EdgeBed.Backend("2001:db8:b::1", 5353)),
    ])));

    private static void AssertSumKept(EdgeBed bed, byte[] frame)
    {
        var result = bed.Twin.Run(
            new TcEdgeProgram(bed.Maps, bed.Options), frame, new TcRunOptions(Checksum: ChecksumState.Complete, CompleteSum: Sum(frame.AsSpan(14))));
        Assert.Equal(TcAction.Unspec, result.Action);
        Assert.False(result.Packet.SequenceEqual(frame));
        Assert.Equal(Fold(Sum(result.Packet[14..])), Fold(result.CompleteSum));
    }

    // Words as the processor loads them, as in skb->csum.
    private static uint Sum(ReadOnlySpan<byte> bytes)
    {
        var sum = 0u;
        for (; bytes.Length > 1; bytes = bytes[2..])
        {
            sum += BinaryPrimitives.ReadUInt16LittleEndian(bytes);
        }

        return bytes.Length == 1 ? sum + bytes[0] : sum;
    }

    private static uint Fold(uint sum)
    {
        sum = (sum & 0xFFFF) + (sum >> 16);
        return ((sum & 0xFFFF) + (sum >> 16)) % 0xFFFF;
    }
}
