using Skep.Bpf.Programming;
using Skep.Bpf.Twin;
using Skep.Packets;

namespace SkepProgram.Tests;

public sealed class DropPortTests : IDisposable
{
    private readonly TwinEngine _twin = new();
    private readonly DropPort _program = new(9999);

    public DropPortTests() => _twin.Bind(_program);

    public void Dispose() => _twin.Dispose();

    [Theory]
    [InlineData(9999, XdpAction.Drop)]
    [InlineData(9998, XdpAction.Pass)]
    public void Only_the_port_is_dropped(ushort port, XdpAction expected)
    {
        var ip4 = PacketBuilder.Ethernet().IPv4("192.0.2.1", "192.0.2.2").Udp(4000, port).Build();
        var ip6 = PacketBuilder.Ethernet().IPv6("2001:db8::1", "2001:db8::2").Udp(4000, port).Build();

        Assert.Equal(expected, _twin.Run(_program, ip4).Action);
        Assert.Equal(expected, _twin.Run(_program, ip6).Action);
        _program.Dropped.TryGet(0, out ulong[] counts);
        Assert.Equal(expected == XdpAction.Drop ? 2 : 0, counts.Sum(n => (long)n));
    }

    [Fact]
    public void A_packet_that_ends_early_passes()
    {
        var packet = PacketBuilder.Ethernet().IPv4("192.0.2.1", "192.0.2.2").Udp(4000, 9999).Build();

        Assert.Equal(XdpAction.Pass, _twin.Run(_program, packet.AsSpan(0, packet.Length - 4)).Action);
    }
}
