using Skep.Balancing;
using Skep.Edge;
using Skep.Packets;
using Skep.Tests.Edge;

namespace Skep.Tests.Balancing.Direct;

/// <summary>What a program is made of, by the services and their traffic.</summary>
public sealed class DirectPlanTests
{
    private static readonly Dictionary<IpAddress, BackendPath> s_hops = new()
    {
        [IpAddress.Parse("10.0.0.1")] = new BackendPath(IpAddress.Parse("10.0.0.100"), 1500, 1),
    };

    private static readonly EdgeOptions s_options = EdgeBed.Small with
    {
        Balance = false, BlockAddresses = false, BlockPrefixes = false, MaxServices = 64, MaxBackends = 64, RingRows = 8192, Direct = new DirectOptions(),
    };

    [Fact]
    public void Few_endpoints_are_all_code_those_with_traffic_first_and_ranges_last()
    {
        using var bed = new EdgeBed(s_options);
        var services = Apply(bed, 3, lastOfFirst: 90);
        var plan = DirectPlan.For(services, s_hops.Values, 1, [services[0].Id, services[2].Id])!;
        Assert.True(plan.Vips!.IsWhole);
        Assert.Equal([82, 81, 80], plan.Vips.Entries.Select(e => (int)e.FirstPort));
    }

    [Fact]
    public void Of_many_endpoints_those_with_traffic_are_code_and_no_range_that_another_endpoint_may_lie_in()
    {
        using var bed = new EdgeBed(s_options);
        var services = Apply(bed, VipList.Most + 1, lastOfFirst: 300);
        Assert.Null(DirectPlan.For(services, s_hops.Values, 1)!.Vips);
        var plan = DirectPlan.For(services, s_hops.Values, 1, [services[5].Id, services[0].Id, services[3].Id])!;
        Assert.False(plan.Vips!.IsWhole);
        Assert.Equal([85, 83], plan.Vips.Entries.Select(e => (int)e.FirstPort));
    }

    [Fact]
    public void Packets_are_counted_by_service()
    {
        using var bed = new EdgeBed(s_options);
        var services = Apply(bed, 2);
        foreach (var port in new ushort[] { 80, 81, 81 })
        {
            Assert.Equal(EdgeVerdict.Forwarded, bed.Verdict(PacketBuilder.Ethernet().IPv4("192.0.2.1", "198.51.100.1").Udp(4000, port).Payload(4).Build()));
        }

        Assert.Equal([(services[0].Id, 1ul), (services[1].Id, 2ul)], bed.State.Balancer.CountDirectPackets().OrderBy(p => p.Key).Select(p => (p.Key, p.Value)));
    }

    // Ports from 80 on; the first is a range when lastOfFirst says so.
    private static IReadOnlyList<ServiceState> Apply(EdgeBed bed, int count, int lastOfFirst = 0)
    {
        bed.State.Balancer.SetNextHops(s_hops);
        Assert.Empty(bed.State.Balancer.Apply([.. Enumerable.Range(0, count).Select(n => new ServiceModel(
            $"s{n}", IpAddress.Parse("198.51.100.1"), (ushort)(80 + n), IpProtocol.Udp, [new BackendModel(IpAddress.Parse("10.0.0.1"), 80)])
        {
            Forwarding = ForwardingMode.IpIp,
            LastPort = n == 0 && lastOfFirst > 0 ? (ushort)lastOfFirst : null,
        })]));
        return [.. bed.State.Balancer.Services.OrderBy(s => s.Model.Port)];
    }
}
