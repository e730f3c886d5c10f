using System.Net;
using Skep.Packets;

namespace Skep.Bpf.Tests.Packets;

public sealed class AddressTests
{
    [Theory]
    [InlineData("10.0.0.1", true)]
    [InlineData("255.255.255.255", true)]
    [InlineData("0.0.0.0", true)]
    [InlineData("::1", false)]
    [InlineData("2001:db8::1", false)]
    [InlineData("fe80::1:2:3:4", false)]
    public void Addresses_survive_parsing_and_formatting(string text, bool isIPv4)
    {
        var address = IpAddress.Parse(text);
        Assert.Equal(text, address.ToString());
        Assert.Equal(isIPv4, address.IsIPv4);
        Assert.Equal(IPAddress.Parse(text), address.ToIPAddress());
    }

    [Theory]
    [InlineData("")]
    [InlineData("1")]
    [InlineData("10.0.0")]
    [InlineData("10.0.0.256")]
    [InlineData("0x7f.0.0.1")]
    [InlineData("fe80::1%eth0")]
    [InlineData("example.org")]
    public void What_is_no_address_is_refused(string text)
    {
        Assert.False(IpAddress.TryParse(text, out _));
        Assert.Throws<FormatException>(() => IpAddress.Parse(text));
    }

    [Fact]
    public void Mapped_and_plain_IPv4_are_the_same_address()
    {
        Assert.Equal(IpAddress.Parse("192.0.2.7"), IpAddress.Parse("::ffff:192.0.2.7"));
        Assert.Equal(IpAddress.Parse("192.0.2.7"), IpAddress.FromBytes([192, 0, 2, 7]));
        Assert.True(IpAddress.Parse("10.0.0.9").CompareTo(IpAddress.Parse("10.0.1.0")) < 0);
    }

    [Theory]
    [InlineData("10.1.2.3/8", "10.0.0.0/8", 104)]
    [InlineData("10.1.2.3", "10.1.2.3/32", 128)]
    [InlineData("0.0.0.0/0", "0.0.0.0/0", 96)]
    [InlineData("2001:db8:ffff::/33", "2001:db8:8000::/33", 33)]
    [InlineData("::/0", "::/0", 0)]
    public void Prefixes_clear_host_bits(string text, string expected, int mappedLength)
    {
        var prefix = IpPrefix.Parse(text);
        Assert.Equal(expected, prefix.ToString());
        Assert.Equal(mappedLength, prefix.MappedLength);
    }

    [Theory]
    [InlineData("10.0.0.0/33")]
    [InlineData("10.0.0.0/-1")]
    [InlineData("10.0.0.0/")]
    [InlineData("::/129")]
    [InlineData("x/8")]
    public void What_is_no_prefix_is_refused(string text) => Assert.False(IpPrefix.TryParse(text, out _));

    [Fact]
    public void A_prefix_contains_its_own_family_only()
    {
        var prefix = IpPrefix.Parse("10.0.0.0/9");
        Assert.True(prefix.Contains(IpAddress.Parse("10.127.255.255")));
        Assert.False(prefix.Contains(IpAddress.Parse("10.128.0.0")));
        Assert.False(IpPrefix.Parse("::/0").Contains(IpAddress.Parse("10.0.0.1")));
        Assert.True(IpPrefix.Parse("::/0").Contains(IpAddress.Parse("2001:db8::1")));
    }

    [Fact]
    public void Ethernet_addresses_survive_parsing_and_formatting()
    {
        Assert.Equal("02:00:5e:10:00:ff", MacAddress.Parse("02-00-5E-10-00-FF").ToString());
        Assert.False(MacAddress.TryParse("02:00:5e:10:00", out _));
        Assert.False(MacAddress.TryParse("02:00:5e:10:00:zz", out _));
        Assert.Equal("ff:ff:ff:ff:ff:ff", MacAddress.Broadcast.ToString());
    }
}
