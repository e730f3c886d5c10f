using Skep.Bpf.Twin.Captures;

namespace Skep.Bpf.Tests.Captures;

public class CaptureReaderTests
{
    private static readonly byte[] s_packet = [.. Enumerable.Range(0, 61).Select(i => (byte)i)];

    [Theory]
    [InlineData(false, 0xA1B2C3D4u, 1_000_005_000ul)]
    [InlineData(true, 0xA1B2C3D4u, 1_000_005_000ul)]
    [InlineData(false, 0xA1B23C4Du, 1_000_000_005ul)]
    [InlineData(true, 0xA1B23C4Du, 1_000_000_005ul)]
    public void Pcap_reads_in_both_byte_orders_and_both_units(bool bigEndian, uint magic, ulong expected)
    {
        var file = new CaptureBytes(bigEndian).Pcap(magic).Packet(1, 5, s_packet, 1500).Packet(2, 0, []).ToArray();
        var packets = CaptureBytes.ReadAll(file);
        Assert.Equal(2, packets.Count);
        Assert.Equal(expected, packets[0].Timestamp);
        Assert.Equal(s_packet, packets[0].Data);
        Assert.Equal(1500u, packets[0].Original);
        Assert.Equal(CaptureLinkType.Ethernet, packets[0].LinkType);
        Assert.Empty(packets[1].Data);
    }

    [Fact]
    public void A_packet_cut_by_the_snap_length_is_flagged()
    {
        using var reader = new CaptureBytes().Pcap().Packet(1, 5, s_packet, 1500).Packet(1, 5, s_packet).Open();
        Assert.True(reader.TryRead(out var packet) && packet.IsTruncated);
        Assert.True(reader.TryRead(out packet) && !packet.IsTruncated);
        Assert.False(reader.TryRead(out _));
        Assert.Equal("pcap", reader.Format);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Pcapng_reads_sections_interfaces_and_units(bool bigEndian)
    {
        var file = new CaptureBytes(bigEndian)
            .Section()
            .Interface(1)
            .Interface(101, resolution: 9)
            .Interface(1, resolution: 0x80 | 10)
            .Block(0x0000_0BAD, b => b.Raw(new byte[300_001]))
            .Enhanced(0, 1_000_005, s_packet)
            .Enhanced(1, 1_000_000_007, s_packet, 9000)
            .Enhanced(2, 1536, s_packet)
            .Block(2, b => b.U16(1).U16(3).U64(0).U32(61).U32(61).Raw(s_packet))
            .Block(3, b => b.U32(61).Raw(s_packet))
            .Block(5, b => b.Raw(new byte[20]))
            .Section()
            .Interface(276, snap: 10)
            .Block(3, b => b.U32(61).Raw(s_packet[..10]))
            .ToArray();
        var packets = CaptureBytes.ReadAll(file);
        Assert.Equal([1_000_005_000ul, 1_000_000_007ul, 1_500_000_000ul, 0ul, 0ul, 0ul], packets.Select(p => p.Timestamp));
        Assert.All(packets[..5], p => Assert.Equal(s_packet, p.Data));
        Assert.Equal(9000u, packets[1].Original);
        Assert.Equal([0u, 1u, 2u, 1u, 0u, 0u], packets.Select(p => p.Interface));
        Assert.Equal(CaptureLinkType.RawIp, packets[1].LinkType);
        Assert.Equal((61u, 10, CaptureLinkType.LinuxSll2), (packets[5].Original, packets[5].Data.Length, packets[5].LinkType));
    }

    [Fact]
    public void Sections_of_different_byte_order_follow_each_other()
    {
        byte[] file =
        [
            .. new CaptureBytes().Section().Interface(1).Enhanced(0, 1, s_packet).ToArray(),
            .. new CaptureBytes(bigEndian: true).Section().Interface(1).Enhanced(0, 2, s_packet).ToArray(),
        ];
        Assert.Equal([1000ul, 2000ul], CaptureBytes.ReadAll(file).Select(p => p.Timestamp));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_is_written_is_read_back(bool pcapng)
    {
        var stream = new MemoryStream();
        using (var writer = pcapng ? CaptureWriter.Pcapng(stream) : CaptureWriter.Pcap(stream))
        {
            for (var length = 0; length < 9; length++)
            {
                writer.Write(1_700_000_000_123_456_789ul + (ulong)length, s_packet.AsSpan(0, length));
            }

            writer.Write(1, s_packet, 1000);
            Assert.Equal(10, writer.Packets);
        }

        var packets = CaptureBytes.ReadAll(stream.ToArray());
        Assert.Equal(10, packets.Count);
        for (var length = 0; length < 9; length++)
        {
            Assert.Equal(1_700_000_000_123_456_789ul + (ulong)length, packets[length].Timestamp);
            Assert.Equal(s_packet[..length], packets[length].Data);
        }

        Assert.Equal((61, 1000u), (packets[9].Data.Length, packets[9].Original));
    }

    [Fact]
    public void Bytes_that_come_one_at_a_time_read_the_same()
    {
        var file = new CaptureBytes().Section().Interface(1).Enhanced(0, 1, s_packet).Enhanced(0, 2, s_packet).ToArray();
        using var reader = CaptureReader.Open(new Trickle(file));
        Assert.True(reader.TryRead(out var packet));
        Assert.Equal(s_packet, packet.Data.ToArray());
        Assert.True(reader.TryRead(out packet));
        Assert.Equal(s_packet, packet.Data.ToArray());
        Assert.False(reader.TryRead(out _));
    }

    private sealed class Trickle(byte[] bytes) : MemoryStream(bytes)
    {
        public override int Read(byte[] buffer, int offset, int count) => base.Read(buffer, offset, Math.Min(count, 1));
    }
}
