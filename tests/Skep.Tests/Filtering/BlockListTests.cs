using Skep.Edge;
using Skep.Filtering;
using Skep.Packets;
using Skep.Tests.Edge;

namespace Skep.Tests.Filtering;

public sealed class BlockListTests
{
    [Theory]
    [InlineData("10.0.0.66", "10.0.0.66", true)]
    [InlineData("10.0.0.66", "10.0.0.67", false)]
    [InlineData("10.0.0.0/24", "10.0.0.255", true)]
    [InlineData("10.0.0.0/24", "10.0.1.0", false)]
    [InlineData("0.0.0.0/0", "203.0.113.9", true)]
    [InlineData("0.0.0.0/0", "2001:db8::1", false)]
    [InlineData("2001:db8::/32", "2001:db8:ffff::1", true)]
    [InlineData("2001:db8::/32", "2001:db9::1", false)]
    [InlineData("2001:db8::7", "2001:db8::7", true)]
    public void A_source_is_blocked_by_its_address_or_prefix(string blocked, string source, bool expected)
    {
        using var bed = new EdgeBed();
        Assert.Null(bed.State.BlockList.Block(new(IpPrefix.Parse(blocked))));
        Assert.Equal(expected ? EdgeVerdict.Blocked : EdgeVerdict.Passed, bed.Verdict(From(source)));
    }

    [Theory]
    [InlineData("10.0.0.66")]
    [InlineData("10.0.0.0/24")]
    public void A_block_ends_when_its_time_is_up_and_is_swept_afterwards(string prefix)
    {
        using var bed = new EdgeBed();
        bed.State.BlockList.Block(new(IpPrefix.Parse(prefix), TimeSpan.FromSeconds(10)));
        bed.Twin.Environment.Advance(TimeSpan.FromSeconds(9));
        Assert.Equal(EdgeVerdict.Blocked, bed.Verdict(From("10.0.0.66")));
        Assert.Equal(TimeSpan.FromSeconds(1), Assert.Single(bed.State.BlockList.List()).Remaining);
        Assert.Equal(0, bed.State.BlockList.Sweep());
        bed.Twin.Environment.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(EdgeVerdict.Passed, bed.Verdict(From("10.0.0.66")));
        Assert.Equal(1, bed.State.BlockList.Sweep());
        Assert.Empty(bed.State.BlockList.List());
    }

    [Fact]
    public void Hits_are_counted_on_the_rule_and_survive_a_new_lifetime()
    {
        using var bed = new EdgeBed();
        string[] prefixes = ["10.0.0.66/32", "10.0.1.0/24"];
        foreach (var prefix in prefixes)
        {
            bed.State.BlockList.Block(new(IpPrefix.Parse(prefix)));
        }

        bed.Verdict(From("10.0.0.66"));
        bed.Verdict(From("10.0.0.66"));
        bed.Verdict(From("10.0.1.3"));
        bed.State.BlockList.Block(new(IpPrefix.Parse(prefixes[0]), TimeSpan.FromHours(1)));
        bed.State.BlockList.Block(new(IpPrefix.Parse(prefixes[1]), TimeSpan.FromHours(1)));
        var bytes = (ulong)From("10.0.0.66").Length;
        Assert.Equal(
            [new(IpPrefix.Parse(prefixes[0]), TimeSpan.FromHours(1), 2, 2 * bytes), new(IpPrefix.Parse(prefixes[1]), TimeSpan.FromHours(1), 1, bytes)],
            bed.State.BlockList.List());
    }

    [Fact]
    public void A_prefix_within_another_has_counters_of_its_own()
    {
        using var bed = new EdgeBed();
        bed.State.BlockList.Block(new(IpPrefix.Parse("10.0.0.0/8")));
        bed.Verdict(From("10.0.0.1"));
        bed.State.BlockList.Block(new(IpPrefix.Parse("10.0.0.0/24")));
        Assert.Equal(0ul, bed.State.BlockList.List().Single(s => s.Prefix.Length == 24).Packets);
    }

    [Fact]
    public void Unblocking_takes_exactly_the_prefix()
    {
        using var bed = new EdgeBed();
        bed.State.BlockList.Block(new(IpPrefix.Parse("10.0.0.0/24")));
        Assert.False(bed.State.BlockList.Unblock(IpPrefix.Parse("10.0.0.0/25")));
        Assert.True(bed.State.BlockList.Unblock(IpPrefix.Parse("10.0.0.0/24")));
        Assert.False(bed.State.BlockList.Unblock(IpPrefix.Parse("10.0.0.1")));
        Assert.Equal(EdgeVerdict.Passed, bed.Verdict(From("10.0.0.1")));
    }

    [Fact]
    public void Applying_a_list_makes_it_all_there_is_and_keeps_counters()
    {
        using var bed = new EdgeBed();
        var list = bed.State.BlockList;
        Assert.Empty(list.Apply([new(IpPrefix.Parse("10.0.0.1")), new(IpPrefix.Parse("10.1.0.0/16"))]));
        bed.Verdict(From("10.1.0.1"));
        Assert.Empty(list.Apply([new(IpPrefix.Parse("10.1.0.0/16")), new(IpPrefix.Parse("10.0.0.2"))]));
        Assert.Equal(["10.0.0.2/32", "10.1.0.0/16"], list.List().Select(s => s.Prefix.ToString()).Order());
        Assert.Equal(1ul, list.List().Single(s => s.Prefix.Length == 16).Packets);
    }

    [Theory]
    [InlineData("::/0")]
    [InlineData("::/16")]
    public void An_IPv6_prefix_that_would_cover_IPv4_is_refused(string prefix)
    {
        using var bed = new EdgeBed();
        Assert.Contains("2000::/3", bed.State.BlockList.Block(new(IpPrefix.Parse(prefix)))?.Message, StringComparison.Ordinal);
        Assert.Null(bed.State.BlockList.Block(new(IpPrefix.Parse("2000::/3"))));
        Assert.Equal(EdgeVerdict.Passed, bed.Verdict(From("10.0.0.1")));
    }

    [Fact]
    public void A_full_list_is_reported()
    {
        using var bed = new EdgeBed();
        var problems = bed.State.BlockList.Apply([.. Enumerable.Range(1, 20).Select(i => new BlockRequest(IpPrefix.Parse($"10.0.0.{i}")))]);
        Assert.Equal(4, problems.Length);
        Assert.Contains("full at 16 addresses", problems[0].Message, StringComparison.Ordinal);
        problems = bed.State.BlockList.Apply([.. Enumerable.Range(1, 20).Select(i => new BlockRequest(IpPrefix.Parse($"10.{i}.0.0/16")))]);
        Assert.Equal(4, problems.Length);
        Assert.Contains("full at 16 prefixes", problems[0].Message, StringComparison.Ordinal);
    }

    private static byte[] From(string source) => source.Contains(':', StringComparison.Ordinal)
        ? PacketBuilder.Ethernet().IPv6(source, "2001:db8:1::1").Udp(1, 2).Build()
        : PacketBuilder.Ethernet().IPv4(source, "192.0.2.1").Udp(1, 2).Build();
}
