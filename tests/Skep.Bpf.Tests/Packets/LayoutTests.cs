using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Skep.Packets;

namespace Skep.Bpf.Tests.Packets;

public sealed unsafe class LayoutTests
{
    [Fact]
    public void Headers_have_the_size_of_the_wire()
    {
        Assert.Equal(6, sizeof(MacAddress));
        Assert.Equal(16, sizeof(IpAddress));
        Assert.Equal(14, sizeof(EthernetHeader));
        Assert.Equal(4, sizeof(VlanTag));
        Assert.Equal(28, sizeof(ArpHeader));
        Assert.Equal(20, sizeof(IPv4Header));
        Assert.Equal(40, sizeof(IPv6Header));
        Assert.Equal(2, sizeof(IPv6ExtensionHeader));
        Assert.Equal(8, sizeof(IPv6FragmentHeader));
        Assert.Equal(20, sizeof(TcpHeader));
        Assert.Equal(8, sizeof(UdpHeader));
        Assert.Equal(8, sizeof(IcmpHeader));
    }

    [Theory]
    [InlineData(typeof(EthernetHeader), nameof(EthernetHeader.EtherType), 12)]
    [InlineData(typeof(VlanTag), nameof(VlanTag.EtherType), 2)]
    [InlineData(typeof(ArpHeader), nameof(ArpHeader.TargetAddress), 24)]
    [InlineData(typeof(IPv4Header), nameof(IPv4Header.TotalLength), 2)]
    [InlineData(typeof(IPv4Header), nameof(IPv4Header.FlagsOffset), 6)]
    [InlineData(typeof(IPv4Header), nameof(IPv4Header.Protocol), 9)]
    [InlineData(typeof(IPv4Header), nameof(IPv4Header.Checksum), 10)]
    [InlineData(typeof(IPv4Header), nameof(IPv4Header.Source), 12)]
    [InlineData(typeof(IPv4Header), nameof(IPv4Header.Destination), 16)]
    [InlineData(typeof(IPv6Header), nameof(IPv6Header.NextHeader), 6)]
    [InlineData(typeof(IPv6Header), nameof(IPv6Header.Source), 8)]
    [InlineData(typeof(IPv6Header), nameof(IPv6Header.Destination), 24)]
    [InlineData(typeof(TcpHeader), nameof(TcpHeader.Acknowledgment), 8)]
    [InlineData(typeof(TcpHeader), nameof(TcpHeader.Flags), 13)]
    [InlineData(typeof(TcpHeader), nameof(TcpHeader.Checksum), 16)]
    [InlineData(typeof(UdpHeader), nameof(UdpHeader.Checksum), 6)]
    [InlineData(typeof(IcmpHeader), nameof(IcmpHeader.Checksum), 2)]
    public void Fields_lie_where_the_protocol_puts_them(Type header, string field, int offset) =>
        Assert.Equal(offset, (int)Marshal.OffsetOf(header, field));

    [Fact]
    public void Header_getters_read_bit_fields()
    {
        var ipv4 = new IPv4Header { VersionIhl = 0x4F, FlagsOffset = NetworkUInt16.From(0x4000) };
        Assert.Equal(60u, ipv4.HeaderLength);
        Assert.True(ipv4.IsValid);
        Assert.Equal(FragmentKind.None, ipv4.Fragment);
        Assert.False(new IPv4Header { VersionIhl = 0x44 }.IsValid);
        Assert.False(new IPv4Header { VersionIhl = 0x65 }.IsValid);
        Assert.Equal(FragmentKind.First, new IPv4Header { FlagsOffset = NetworkUInt16.From(0x2000) }.Fragment);
        Assert.Equal(FragmentKind.Later, new IPv4Header { FlagsOffset = NetworkUInt16.From(0x2001) }.Fragment);
        Assert.Equal(FragmentKind.Later, new IPv4Header { FlagsOffset = NetworkUInt16.From(0x1FFF) }.Fragment);
        Assert.Equal(FragmentKind.None, new IPv6FragmentHeader { OffsetFlags = NetworkUInt16.From(6) }.Fragment);
        Assert.Equal(FragmentKind.First, new IPv6FragmentHeader { OffsetFlags = NetworkUInt16.From(1) }.Fragment);
        Assert.Equal(FragmentKind.Later, new IPv6FragmentHeader { OffsetFlags = NetworkUInt16.From(8) }.Fragment);
        Assert.Equal(60u, new TcpHeader { DataOffset = 0xFF }.HeaderLength);
        var tag = new VlanTag { Control = NetworkUInt16.From(0xA123) };
        Assert.Equal(0x123, tag.VlanId);
        Assert.Equal(5, tag.Priority);
    }

    [Fact]
    public void Network_order_numbers_compare_raw_and_convert()
    {
        Assert.Equal(0x0008, NetworkUInt16.From(0x0800).Raw);
        Assert.Equal(0x0800, NetworkUInt16.FromRaw(0x0008).Value);
        Assert.True(NetworkUInt16.From(80) == NetworkUInt16.FromRaw(0x5000));
        Assert.True(NetworkUInt32.From(1) != NetworkUInt32.From(2));
        Assert.Equal(0x01000000u, NetworkUInt32.From(1).Raw);
        Assert.Equal("80", NetworkUInt16.From(80).ToString());
        Assert.Equal(16, Unsafe.SizeOf<IpAddress>());
    }
}
