using System.Collections.Immutable;
using Skep.Balancing;
using Skep.Bpf.Twin;
using Skep.Corpus;
using Skep.Edge;
using Skep.Packets;
using Skep.Tests.Edge;

namespace Skep.Tests.Balancing.Direct;

/// <summary>What the balancer sends comes out of the other end as it came in; nothing else comes out of it.</summary>
public sealed class DecapsulationTests
{
    [Fact]
    public void Every_packet_of_the_table_survives_the_tunnel()
    {
        using var bed = Bed();
        var carried = 0;
        foreach (var packet in DirectTable.Base.Cases.Where(c => c.Verdict is EdgeVerdict.Forwarded or EdgeVerdict.IcmpForwarded or EdgeVerdict.FragmentForwarded))
        {
            var (verdict, output) = bed.Run(packet.Output);
            if (verdict == EdgeVerdict.Passed)
            {
                Assert.True(packet.Name.Contains("Ethernet addresses only", StringComparison.Ordinal) || packet.Name.StartsWith("backend on the link", StringComparison.Ordinal), packet.Name);
                continue;
            }

            Assert.Equal((packet.Name, EdgeVerdict.Decapsulated), (packet.Name, verdict));
            var (inner, sent) = (Inner(output), Inner(packet.Frame));
            Assert.Equal($"{packet.Name}: {Convert.ToHexStringLower(sent)}", $"{packet.Name}: {Convert.ToHexStringLower(inner)}");
            carried++;
        }

        Assert.InRange(carried, 50, 100);
    }

    [Theory]
    [InlineData("10.0.0.1", "10.0.0.2", "198.51.100.10", EdgeVerdict.Decapsulated)]
    [InlineData("10.9.0.1", "10.0.0.2", "198.51.100.10", EdgeVerdict.TunnelRefused)]
    [InlineData("10.0.0.1", "10.0.0.77", "198.51.100.10", EdgeVerdict.Passed)]
    [InlineData("10.0.0.1", "10.0.0.2", "192.0.2.77", EdgeVerdict.TunnelRefused)]
    public void Only_balancers_may_send_and_only_for_virtual_addresses(string from, string to, string vip, EdgeVerdict expected)
    {
        using var bed = Bed();
        var inner = PacketBuilder.Bare().IPv4("192.0.2.10", vip).Tcp(40000, 80, TcpFlags.Syn);
        Assert.Equal(expected, bed.Verdict(PacketBuilder.Ethernet().IPv4(from, to, protocol: IpProtocol.IPv4).Payload(inner).Build()));
    }

    [Fact]
    public void Tunnels_in_tunnels_and_what_is_cut_short_are_refused()
    {
        using var bed = Bed();
        var outer = PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2", protocol: IpProtocol.IPv4);
        var inner = PacketBuilder.Bare().IPv4("192.0.2.10", "198.51.100.10").Tcp(40000, 80, TcpFlags.Syn);
        var twice = PacketBuilder.Bare().IPv4("10.0.0.1", "198.51.100.10", protocol: IpProtocol.IPv4).Payload(inner);
        var gue = PacketBuilder.Bare().IPv4("10.0.0.1", "198.51.100.10").Udp(1, GueHeader.Port).Payload(inner);
        Assert.Equal(EdgeVerdict.TunnelRefused, bed.Verdict(outer.Payload(twice).Build()));
        Assert.Equal(EdgeVerdict.TunnelRefused, bed.Verdict(outer.Payload(gue).Build()));
        Assert.Equal(EdgeVerdict.TunnelRefused, bed.Verdict(outer.Payload(inner.Build()[..19]).Build()));
        Assert.Equal(EdgeVerdict.TunnelRefused, bed.Verdict(outer.Payload(new byte[40]).Build()));
        Assert.Equal(EdgeVerdict.TunnelRefused, bed.Verdict(
            PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2").Udp(1, GeneveHeader.Port).Payload([0x00, 0x40, 0x08, 0x00, 0, 0, 0, 0, .. inner.Build()]).Build()));
        Assert.Equal(EdgeVerdict.TunnelRefused, bed.Verdict(
            PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2").Udp(1, GeneveHeader.Port).Payload([0x3f, 0x00, 0x08, 0x00, 0, 0, 0, 0, .. inner.Build()]).Build()));
    }

    [Theory]
    [InlineData(3, 2, EdgeVerdict.Decapsulated, 3)]
    [InlineData(3, 0, EdgeVerdict.TunnelRefused, 0)]
    [InlineData(2, 2, EdgeVerdict.Decapsulated, 2)]
    public void Congestion_on_the_way_is_told_to_the_packet(byte outerEcn, byte innerEcn, EdgeVerdict expected, byte marked)
    {
        using var bed = Bed();
        foreach (var isIPv6 in new[] { false, true })
        {
            var inner = isIPv6
                ? PacketBuilder.Bare().IPv6("2001:db8:c::10", "2001:db8:f::10").Tcp(40000, 80, TcpFlags.Syn).Build()
                : PacketBuilder.Bare().IPv4("192.0.2.10", "198.51.100.10").Tcp(40000, 80, TcpFlags.Syn).Build();
            SetEcn(inner, innerEcn);
            var frame = PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2", protocol: isIPv6 ? IpProtocol.IPv6 : IpProtocol.IPv4).Payload(inner).Build();
            SetEcn(frame.AsSpan(14), outerEcn);
            var (verdict, output) = bed.Run(frame);
            Assert.Equal(expected, verdict);
            if (verdict == EdgeVerdict.Decapsulated)
            {
                Assert.Equal(marked, EcnOf(output.AsSpan(14)));
                Assert.True(WireCheck.Of(output).HeaderChecksumRight);
            }
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(14)]
    [InlineData(60)]
    public void At_traffic_control_every_packet_comes_out_as_at_XDP_and_so_does_the_sum_that_a_device_made(int linear)
    {
        using var xdp = Bed();
        using var tc = Bed();
        var program = new TcEdgeProgram(tc.Maps, tc.Options);
        var decapsulated = 0;

        // The stack takes tags out of packets before traffic control sees them.
        foreach (var packet in DirectTable.Base.Cases.Where(c => c.Output is not [_, _, _, _, _, _, _, _, _, _, _, _, 0x81 or 0x88, ..]))
        {
            var (verdict, expected) = xdp.Run(packet.Output);
            var result = tc.Twin.Run(program, packet.Output, new TcRunOptions(
                LinearLength: (uint)linear, Checksum: Skep.Bpf.Programming.ChecksumState.Complete, CompleteSum: SumOf(packet.Output)));
            Assert.Equal((packet.Name, TcEdgeProgram.ActionOf(verdict, tc.Options)), (packet.Name, result.Action));
            Assert.Equal($"{packet.Name}: {Convert.ToHexStringLower(expected)}", $"{packet.Name}: {Convert.ToHexStringLower(result.Packet)}");
            Assert.Equal((packet.Name, Folded(SumOf(expected))), (packet.Name, Folded(result.CompleteSum)));
            decapsulated += verdict == EdgeVerdict.Decapsulated ? 1 : 0;
        }

        Assert.Equal(xdp.State.ReadCounters(), tc.State.ReadCounters());
        Assert.InRange(decapsulated, 50, 100);
    }

    [Fact]
    public void At_traffic_control_congestion_is_in_the_sum_too_and_super_packets_stay_super_packets()
    {
        using var bed = Bed();
        var program = new TcEdgeProgram(bed.Maps, bed.Options);
        var inner = PacketBuilder.Bare().IPv6("2001:db8:c::10", "2001:db8:f::10").Tcp(40000, 80, TcpFlags.Ack).Payload(5000).Build();
        SetEcn(inner, 1);
        var frame = PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2", protocol: IpProtocol.IPv6).Payload(inner).Build();
        SetEcn(frame.AsSpan(14), 3);
        var result = bed.Twin.Run(program, frame, new TcRunOptions(
            LinearLength: 100, GsoSize: 1400, GsoSegments: 4, Checksum: Skep.Bpf.Programming.ChecksumState.Complete, CompleteSum: SumOf(frame)));
        Assert.Equal(3, EcnOf(result.Packet[14..].ToArray()));
        Assert.Equal(Folded(SumOf(result.Packet.ToArray())), Folded(result.CompleteSum));
        Assert.Equal(5060 + 14, result.Packet.Length);
        Assert.True(result.LinearLength < 600, "the payload was pulled in");
        Assert.Equal(4ul, bed.State.ReadCounters()[EdgeVerdict.Decapsulated].Packets);
    }

    private static uint SumOf(byte[] frame) => InternetChecksum.Fold(InternetChecksum.Sum(frame.AsSpan(14)));

    // Zero and all ones are the same number.
    private static int Folded(uint sum) => InternetChecksum.Fold(sum) % 0xFFFF;

    private static EdgeBed Bed() => new(
        EdgeBed.Small with { Balance = false, BlockAddresses = false, BlockPrefixes = false, Decapsulate = true },
        state => Assert.Empty(state.Tunnels.Apply(new(
            DirectTable.Base.Services.SelectMany(s => s.Backends).Select(b => (b.Address, Role: TunnelAddress.Outer))
                .Concat(DirectTable.Base.Services.Select(s => (s.Address, Role: TunnelAddress.Virtual))).Distinct()
                .ToImmutableDictionary(p => p.Address, p => p.Role),
            [IpPrefix.Parse("10.0.0.1"), IpPrefix.Parse("fd00::1")]))));

    private static byte[] Inner(byte[] frame)
    {
        var at = 12;
        while (frame[at] is 0x81 or 0x88)
        {
            at += 4;
        }

        return frame[(at + 2)..];
    }

    private static void SetEcn(Span<byte> packet, byte ecn)
    {
        if (packet[0] >> 4 == 6)
        {
            packet[1] = (byte)((packet[1] & 0xCF) | (ecn << 4));
            return;
        }

        packet[1] = (byte)((packet[1] & 0xFC) | ecn);
        packet[10] = packet[11] = 0;
        System.Runtime.InteropServices.MemoryMarshal.Write(packet[10..], InternetChecksum.Compute(packet[..20]));
    }

    private static byte EcnOf(Span<byte> packet) => (byte)(packet[0] >> 4 == 6 ? (packet[1] >> 4) & 3 : packet[1] & 3);
}
