using System.Runtime.InteropServices;
using Skep.Balancing;
using Skep.Edge;
using Skep.Filtering;
using Skep.Packets;

namespace Skep.Tests.Edge;

public sealed unsafe class EdgeLayoutTests
{
    [Fact]
    public void Structs_in_maps_have_the_documented_sizes()
    {
        Assert.Equal(16, sizeof(EdgeCounter));
        Assert.Equal(32, sizeof(BlockRule));
        Assert.Equal(20, sizeof(PrefixKey));
        Assert.Equal(24, sizeof(ServiceKey));
        Assert.Equal(16, sizeof(ServiceEntry));
        Assert.Equal(32, sizeof(BackendEntry));
        Assert.Equal(40, sizeof(BackendCounter));
        Assert.Equal(40, sizeof(ConnectionKey));
        Assert.Equal(80, sizeof(Connection));
        Assert.Equal(96, sizeof(BackendSignals));
        Assert.Equal(40, sizeof(FragmentKey));
        Assert.Equal(40, sizeof(FragmentRoute));
        Assert.Equal(24, sizeof(SourcePool));
        Assert.Equal(64, sizeof(Tunnel));
        Assert.Equal(32, sizeof(VipSlot));
        Assert.Equal(32, sizeof(DirectService));
        Assert.Equal(64, sizeof(ServiceLimit));
        Assert.Equal(24, sizeof(SourceKey));
        Assert.Equal(64, sizeof(FlowSet));
    }

    [Theory]
    [InlineData(typeof(ServiceKey), nameof(ServiceKey.RawPort), 16)]
    [InlineData(typeof(ServiceKey), nameof(ServiceKey.Protocol), 20)]
    [InlineData(typeof(ServiceEntry), nameof(ServiceEntry.RingSlots), 8)]
    [InlineData(typeof(BackendEntry), nameof(BackendEntry.Port), 16)]
    [InlineData(typeof(BackendEntry), nameof(BackendEntry.Service), 20)]
    [InlineData(typeof(BackendEntry), nameof(BackendEntry.Group), 28)]
    [InlineData(typeof(ServiceEntry), nameof(ServiceEntry.Flags), 12)]
    [InlineData(typeof(ConnectionKey), nameof(ConnectionKey.RawPorts), 32)]
    [InlineData(typeof(ConnectionKey), nameof(ConnectionKey.Protocol), 36)]
    [InlineData(typeof(FragmentRoute), nameof(FragmentRoute.Backend), 36)]
    [InlineData(typeof(Tunnel), nameof(Tunnel.RawVlan), 14)]
    [InlineData(typeof(Tunnel), nameof(Tunnel.Owner), 20)]
    [InlineData(typeof(Tunnel), nameof(Tunnel.Mode), 30)]
    [InlineData(typeof(Tunnel), nameof(Tunnel.Destination), 48)]
    [InlineData(typeof(VipSlot), nameof(VipSlot.Flags), 22)]
    [InlineData(typeof(VipSlot), nameof(VipSlot.LastPort), 26)]
    [InlineData(typeof(DirectService), nameof(DirectService.ClientMaskLower), 16)]
    [InlineData(typeof(DirectService), nameof(DirectService.QuicConfigs), 25)]
    [InlineData(typeof(DirectService), nameof(DirectService.FormerStart), 28)]
    [InlineData(typeof(ServiceLimit), nameof(ServiceLimit.Packets), 32)]
    [InlineData(typeof(ServiceBucket), nameof(ServiceBucket.FullAt), 16)]
    [InlineData(typeof(Connection), nameof(Connection.Backend), 32)]
    [InlineData(typeof(Connection), nameof(Connection.Ports), 48)]
    [InlineData(typeof(Connection), nameof(Connection.FullDelta), 58)]
    [InlineData(typeof(Connection), nameof(Connection.LastSeen), 64)]
    [InlineData(typeof(Connection), nameof(Connection.Link), 72)]
    [InlineData(typeof(Connection), nameof(Connection.Stage), 79)]
    [InlineData(typeof(SourcePool), nameof(SourcePool.Pools), 20)]
    public void Fields_lie_where_the_documentation_says(Type type, string field, int offset) => Assert.Equal(offset, (int)Marshal.OffsetOf(type, field));

    [Theory]
    [InlineData("10.1.0.0/16")]
    [InlineData("2001:db8::/32")]
    [InlineData("::/0")]
    public void A_prefix_survives_its_key(string prefix) => Assert.Equal(prefix, PrefixKey.Of(IpPrefix.Parse(prefix)).Prefix.ToString());
}
