using Skep.Balancing;

namespace Skep.Tests.Balancing.Direct;

/// <summary>Which endpoints become code, and when that changes.</summary>
public sealed class VipHeatTests
{
    private readonly Dictionary<uint, ulong> _packets = [];

    [Fact]
    public void Endpoints_are_compared_in_the_order_of_their_traffic()
    {
        var heat = new VipHeat();
        Assert.True(Look(heat, 16, (1, 10), (2, 20_000), (3, 3_000)));
        Assert.Equal([2u, 3u, 1u], heat.Hot);
    }

    [Fact]
    public void Of_more_endpoints_than_become_code_those_with_half_of_the_traffic_do()
    {
        var heat = new VipHeat();
        Assert.False(Look(heat, 2, (1, 3_000), (2, 3_000), (3, 3_000), (4, 3_000), (5, 3_000)));
        Assert.Empty(heat.Hot);
        Assert.True(Look(heat, 2, (1, 3_000), (2, 90_000), (3, 3_000), (4, 60_000), (5, 3_000)));
        Assert.Equal([2u, 4u], heat.Hot);
    }

    [Fact]
    public void They_go_back_to_the_table_when_they_no_longer_pay()
    {
        var heat = new VipHeat();
        Look(heat, 2, (1, 90_000), (2, 10_000), (3, 10), (4, 10), (5, 10), (6, 10), (7, 10), (8, 10));
        Assert.Equal([1u, 2u], heat.Hot);
        var changes = 0;
        for (var i = 0; i < 20; i++)
        {
            changes += Look(heat, 2, [.. Enumerable.Range(1, 12).Select(n => ((uint)n, 10_000ul))]) ? 1 : 0;
        }

        Assert.Empty(heat.Hot);
        Assert.Equal(1, changes);
    }

    [Fact]
    public void Traffic_that_swings_a_little_changes_nothing()
    {
        var heat = new VipHeat();
        Look(heat, 2, (1, 50_000), (2, 45_000), (3, 40_000));
        for (var i = 0; i < 50; i++)
        {
            var swing = i % 2 == 0 ? 8_000ul : 0;
            Assert.False(Look(heat, 2, (1, 50_000 - swing), (2, 45_000 + swing), (3, 40_000 + swing)));
        }
    }

    [Fact]
    public void A_service_that_takes_over_comes_first_within_three_looks()
    {
        var heat = new VipHeat();
        Look(heat, 16, [.. Enumerable.Range(1, 16).Select(n => ((uint)n, n == 1 ? 100_000ul : 100))]);
        var looks = 0;
        while (heat.Hot[0] != 9 && looks < 10)
        {
            Look(heat, 16, [.. Enumerable.Range(1, 16).Select(n => ((uint)n, n == 9 ? 100_000ul : 100))]);
            looks++;
        }

        Assert.InRange(looks, 1, 3);
    }

    [Fact]
    public void Little_traffic_teaches_nothing_and_services_that_are_gone_leave()
    {
        var heat = new VipHeat();
        Assert.False(Look(heat, 16, (1, 100), (2, 200)));
        Look(heat, 16, (1, 10_000), (2, 20_000));
        Assert.Equal([2u, 1u], heat.Hot);
        _packets.Remove(2);
        Assert.True(Look(heat, 16, (1, 1)));
        Assert.Equal([1u], heat.Hot);
    }

    [Fact]
    public void Counts_that_begin_anew_are_no_traffic_of_the_past()
    {
        var heat = new VipHeat();
        Look(heat, 16, (1, 50_000), (2, 20_000));
        _packets[1] = 0;
        Assert.False(Look(heat, 16, (1, 5_000), (2, 2_000)));
    }

    private bool Look(VipHeat heat, int most, params (uint Service, ulong Packets)[] since)
    {
        foreach (var (service, packets) in since)
        {
            _packets[service] = _packets.GetValueOrDefault(service) + packets;
        }

        return heat.Look(_packets, most);
    }
}
