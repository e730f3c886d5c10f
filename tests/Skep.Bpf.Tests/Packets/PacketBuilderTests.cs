using Skep.Packets;

namespace Skep.Bpf.Tests.Packets;

public sealed class PacketBuilderTests
{
    [Fact]
    public void Checksums_verify()
    {
        var v4 = PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2", options: [7, 3, 4]);
        var v6 = PacketBuilder.Ethernet().IPv6("2001:db8::1", "2001:db8::2");
        var a = IpAddress.Parse("10.0.0.1");
        var b = IpAddress.Parse("10.0.0.2");
        Assert.Equal(0, InternetChecksum.Compute(v4.Udp(1, 2).Build().AsSpan(14, 24)).Value);
        Assert.Equal(0, InternetChecksum.ComputeTransport(a, b, IpProtocol.Tcp, v4.Tcp(1, 2).Payload(5).Build().AsSpan(38)).Value);
        Assert.Equal(0, InternetChecksum.ComputeTransport(a, b, IpProtocol.Udp, v4.Udp(1, 2).Payload(5).Build().AsSpan(38)).Value);
        Assert.Equal(0, InternetChecksum.Compute(v4.Icmp(8).Payload(5).Build().AsSpan(38)).Value);
        Assert.Equal(
            0,
            InternetChecksum.ComputeTransport(
                IpAddress.Parse("2001:db8::1"), IpAddress.Parse("2001:db8::2"), IpProtocol.IcmpV6, v6.Icmp(128).Payload(5).Build().AsSpan(54)).Value);
        Assert.Equal(0, BitConverter.ToUInt16(v4.Udp(1, 2, withoutChecksum: true).Build(), 38 + 6));
    }

    [Fact]
    public void A_SYN_has_the_bytes_a_capture_shows()
    {
        var frame = PacketBuilder.Ethernet(MacAddress.Parse("02:00:00:00:00:0a"), MacAddress.Parse("02:00:00:00:00:0b"))
            .IPv4("192.0.2.1", "198.51.100.2", identification: 0x1234)
            .Tcp(0xC001, 80, TcpFlags.Syn, sequence: 0x01020304, window: 0xFAF0)
            .Build();
        Assert.Equal(
            "02000000000B02000000000A0800" + "45000028123400004006" + "7C65" + "C0000201C6336402" + "C00100500102030400000000" + "5002FAF0" + "0463" + "0000",
            Convert.ToHexString(frame));
    }

    [Fact]
    public void A_transport_header_without_IP_is_refused() =>
        Assert.Throws<InvalidOperationException>(() => PacketBuilder.Ethernet().Tcp(1, 2).Build());
}
