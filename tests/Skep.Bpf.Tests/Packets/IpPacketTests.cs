using Skep.Packets;

namespace Skep.Bpf.Tests.Packets;

public sealed unsafe class IpPacketTests
{
    private static readonly PacketBuilder s_v4 = PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2");
    private static readonly PacketBuilder s_v6 = PacketBuilder.Ethernet().IPv6("2001:db8::1", "2001:db8::2");

    [Fact]
    public void IPv4_addresses_protocol_and_offsets_are_read()
    {
        var seen = Parse(s_v4.Tcp(1, 2).Build());
        Assert.Equal(new Seen(ParseStatus.Ip, "10.0.0.1", "10.0.0.2", IpProtocol.Tcp, FragmentKind.None, false, 14, 34, 0), seen);
    }

    [Fact]
    public void IPv4_options_move_the_transport_header()
    {
        var seen = Parse(PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2", options: new byte[40]).Udp(1, 2).Build());
        Assert.Equal(14 + 60, seen.Transport);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void Up_to_two_VLAN_tags_are_skipped(int tags)
    {
        var builder = PacketBuilder.Ethernet();
        for (var i = 0; i < tags; i++)
        {
            builder = builder.Vlan((ushort)(100 + i), service: i == 0 && tags == 2);
        }

        Assert.Equal(14 + (4 * tags), Parse(builder.IPv4("10.0.0.1", "10.0.0.2").Udp(1, 2).Build()).Network);
        Assert.Equal(14 + (4 * tags), Parse(builder.IPv6("::1", "::2").Udp(1, 2).Build()).Network);
        Assert.Equal(tags == 2 ? ParseStatus.Malformed : ParseStatus.Ip, Parse(builder.Vlan(7).IPv4("10.0.0.1", "10.0.0.2").Build()).Status);
        Assert.Equal(ParseStatus.NotIp, Parse(builder.Arp(1, "10.0.0.1", "10.0.0.2").Build()).Status);
    }

    [Fact]
    public void Plain_packets_are_read_in_a_shorter_way_as_in_the_long_one_and_no_other_packet_is_plain()
    {
        byte[][] plain = [s_v4.Tcp(1, 2).Build(), s_v4.Udp(1, 2).Payload(3).Build(), s_v6.Tcp(1, 2).Payload(9).Build(), s_v6.Udp(1, 2).Build()];
        byte[][] others =
        [
            PacketBuilder.Ethernet().Vlan(7).IPv4("10.0.0.1", "10.0.0.2").Udp(1, 2).Build(),
            PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2", options: new byte[4]).Tcp(1, 2).Build(),
            s_v6.Extension(IpProtocol.DestinationOptions).Tcp(1, 2).Build(),
            s_v6.FragmentHeader(1, moreFragments: true).Udp(1, 2).Build(),
            PacketBuilder.Ethernet().Arp(1, "10.0.0.1", "10.0.0.2").Build(),
            PacketBuilder.Ethernet().IPv6("::ffff:1.2.3.4", "2001:db8::2").Tcp(1, 2).Build(),
            s_v4.Tcp(1, 2).Build()[..53],
            s_v6.Tcp(1, 2).Build()[..73],
            s_v4.Udp(1, 2).Build()[..41],
        ];
        foreach (var frame in plain.Concat(others))
        {
            fixed (byte* data = frame)
            {
                var status = IpPacket.Parse(data, data + frame.Length, out var packet);
                var found = IpPacket.FindNetwork(data, data + frame.Length, out var network, out var isIPv6);
                var inner = default(IpPacket);
                Assert.Equal(status, found != ParseStatus.Ip ? found : IpPacket.ParseNetwork(network, data + frame.Length, isIPv6, out inner));
                Assert.Equal(plain.Contains(frame), IpPacket.TryParsePlain(data, data + frame.Length, out var brief));
                Assert.True(status != ParseStatus.Ip || IsSame(in packet, in inner));
                Assert.True(!plain.Contains(frame) || IsSame(in packet, in brief));
            }
        }
    }

    private static bool IsSame(in IpPacket a, in IpPacket b) => a.Network == b.Network && a.Transport == b.Transport
        && (a.Source, a.Destination, a.Protocol, a.Fragment, a.IsIPv6) == (b.Source, b.Destination, b.Protocol, b.Fragment, b.IsIPv6)
        && (a.Fragment == FragmentKind.None || a.FragmentId == b.FragmentId);

    [Fact]
    public void IPv6_extension_headers_are_skipped()
    {
        var seen = Parse(s_v6
            .Extension(IpProtocol.HopByHop).Extension(IpProtocol.Routing, 24).Extension(IpProtocol.DestinationOptions, 16)
            .Extension(IpProtocol.Authentication, 24).FragmentHeader(0x01020304, moreFragments: true).Udp(1, 2).Build());
        Assert.Equal(
            new Seen(ParseStatus.Ip, "2001:db8::1", "2001:db8::2", IpProtocol.Udp, FragmentKind.First, true, 14, 14 + 40 + 8 + 24 + 16 + 24 + 8, 0x04030201),
            seen);
    }

    [Fact]
    public void Six_extension_headers_are_read_and_seven_are_malformed()
    {
        var six = Enumerable.Range(0, 6).Aggregate(s_v6, (builder, _) => builder.Extension(IpProtocol.DestinationOptions));
        Assert.Equal((ParseStatus.Ip, IpProtocol.Tcp), Brief(six.Tcp(1, 2).Build()));
        Assert.Equal(ParseStatus.Malformed, Parse(six.Extension(IpProtocol.DestinationOptions).Tcp(1, 2).Build()).Status);
    }

    [Fact]
    public void Fragments_are_told_apart()
    {
        Assert.Equal(FragmentKind.First, Parse(PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2", moreFragments: true).Udp(1, 2).Build()).Fragment);
        Assert.Equal(FragmentKind.Later, Parse(PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2", fragmentOffset: 8, protocol: IpProtocol.Udp).Build()).Fragment);
        var later = Parse(s_v6.FragmentHeader(9, offset: 1448, nextHeader: IpProtocol.Udp).Payload(16).Build());
        Assert.Equal((FragmentKind.Later, IpProtocol.Udp), (later.Fragment, later.Protocol));
        Assert.Equal(FragmentKind.None, Parse(s_v6.FragmentHeader(9).Udp(1, 2).Build()).Fragment);
    }

    [Fact]
    public void Contradictions_are_malformed()
    {
        Assert.Equal(ParseStatus.Malformed, Parse(Patched(s_v4.Build(), 14, 0x44)).Status);
        Assert.Equal(ParseStatus.Malformed, Parse(Patched(s_v4.Build(), 14, 0x65)).Status);
        Assert.Equal(ParseStatus.Malformed, Parse(Patched(s_v6.Build(), 14, 0x45)).Status);
    }

    [Fact]
    public void No_length_of_a_frame_reads_beyond_it()
    {
        // The transport header is the caller's to check, so everything up to it is what the parser needs.
        (byte[] Frame, int Needed)[] cases =
        [
            (PacketBuilder.Ethernet().Vlan(1).Vlan(2).IPv4("10.0.0.1", "10.0.0.2", options: new byte[8]).Tcp(1, 2).Build(), 14 + 8 + 20),
            (s_v6.Extension(IpProtocol.HopByHop).FragmentHeader(1, moreFragments: true).Tcp(1, 2).Build(), 14 + 40 + 8 + 8),
        ];
        foreach (var (frame, needed) in cases)
        {
            for (var length = 0; length < frame.Length; length++)
            {
                Assert.Equal(length < needed ? ParseStatus.Truncated : ParseStatus.Ip, Parse(frame[..length]).Status);
            }
        }
    }

    [Fact]
    public void The_packet_inside_an_ICMP_error_is_read()
    {
        var inner = PacketBuilder.Bare().IPv4("10.0.0.2", "10.0.0.1").Udp(53, 4000).Build();
        fixed (byte* start = inner)
        {
            Assert.Equal(ParseStatus.Ip, IpPacket.ParseNetwork(start, start + inner.Length, isIPv6: false, out var packet));
            Assert.Equal("10.0.0.2", packet.Source.ToString());
            Assert.Equal(ParseStatus.Malformed, IpPacket.ParseNetwork(start, start + inner.Length + 20, isIPv6: true, out _));
        }
    }

    [Fact]
    public void A_cursor_stops_at_the_end()
    {
        var bytes = new byte[15];
        fixed (byte* start = bytes)
        {
            var cursor = new PacketCursor(start, start + bytes.Length);
            Assert.True(cursor.TryRead<EthernetHeader>(out _));
            Assert.False(cursor.TryRead<VlanTag>(out _));
            Assert.True(cursor.TryPeek<byte>(out _));
            Assert.Equal(1, cursor.End - cursor.Position);
            cursor.Skip(1);
            Assert.False(cursor.TryRead<byte>(out _));
        }
    }

    private static (ParseStatus Status, IpProtocol Protocol) Brief(byte[] frame) => (Parse(frame).Status, Parse(frame).Protocol);

    private static byte[] Patched(byte[] frame, int offset, byte value)
    {
        frame[offset] = value;
        return frame;
    }

    private static Seen Parse(byte[] frame)
    {
        // One spare byte, so that an empty frame has an address too.
        var copy = new byte[frame.Length + 1];
        frame.CopyTo(copy, 0);
        fixed (byte* data = copy)
        {
            var status = IpPacket.Parse(data, data + frame.Length, out var packet);
            return status == ParseStatus.Ip
                ? new Seen(
                    status, packet.Source.ToString(), packet.Destination.ToString(), packet.Protocol, packet.Fragment, packet.IsIPv6,
                    (int)(packet.Network - data), (int)(packet.Transport - data), packet.FragmentId)
                : new Seen(status, "", "", 0, 0, false, 0, 0, 0);
        }
    }

    private readonly record struct Seen(
        ParseStatus Status, string Source, string Destination, IpProtocol Protocol, FragmentKind Fragment, bool IsIPv6, int Network, int Transport, uint FragmentId);
}
