using Skep.Edge;
using Skep.Filtering;
using Skep.Packets;
using Skep.Tests.Edge;

namespace Skep.Tests.Filtering;

/// <summary>Prefixes within prefixes: the trie finds the narrowest only, and what a wider one asks for holds all the same.</summary>
public sealed class NestedBlockTests
{
    private static readonly IpPrefix[] s_prefixes =
    [
        .. new[]
        {
            "10.0.0.0/8", "10.0.0.0/9", "10.0.0.0/16", "10.0.3.0/24", "10.0.3.128/25", "10.128.0.0/9", "10.0.3.7",
            "2001:db8::/32", "2001:db8::/48", "2001:db8:0:1::/64", "2001:db8::7",
        }.Select(t => IpPrefix.Parse(t)),
    ];

    private static readonly IpAddress[] s_sources =
    [
        .. new[] { "10.0.3.7", "10.0.3.200", "10.0.9.9", "10.127.0.1", "10.200.0.1", "11.0.0.1", "2001:db8::7", "2001:db8:0:1::9", "2001:db8:9::9", "2001:db9::1" }
            .Select(t => IpAddress.Parse(t)),
    ];

    [Fact]
    public void An_expired_prefix_hides_no_wider_one()
    {
        using var bed = new EdgeBed();
        bed.State.BlockList.Block(new(IpPrefix.Parse("10.0.0.0/8")));
        bed.State.BlockList.Block(new(IpPrefix.Parse("10.0.3.0/24"), TimeSpan.FromSeconds(10)));
        bed.Twin.Environment.Advance(TimeSpan.FromSeconds(11));

        Assert.Equal(EdgeVerdict.Blocked, bed.Verdict(From(IpAddress.Parse("10.0.3.1"))));
        Assert.Equal(TimeSpan.Zero, bed.State.BlockList.List().Single(b => b.Prefix.Length == 24).Remaining);
        Assert.Equal(1, bed.State.BlockList.Sweep());
        Assert.Equal(EdgeVerdict.Blocked, bed.Verdict(From(IpAddress.Parse("10.0.3.1"))));
    }

    [Fact]
    public void A_prefix_that_found_no_room_lends_its_time_to_none()
    {
        using var bed = new EdgeBed();
        var others = Enumerable.Range(1, 15).Select(i => new BlockRequest(IpPrefix.Parse($"192.168.{i}.0/24"))).ToArray();
        Assert.Empty(bed.State.BlockList.Apply([.. others, new(IpPrefix.Parse("10.0.3.0/24"), TimeSpan.FromSeconds(10))]));

        Assert.NotNull(bed.State.BlockList.Block(new(IpPrefix.Parse("10.0.0.0/8"))));

        Assert.Equal(EdgeVerdict.Blocked, bed.Verdict(From(IpAddress.Parse("10.0.3.1"))));
        bed.Twin.Environment.Advance(TimeSpan.FromSeconds(11));
        Assert.Equal(EdgeVerdict.Passed, bed.Verdict(From(IpAddress.Parse("10.0.3.1"))));
    }

    [Fact]
    public void A_full_list_is_replaced_by_another_full_one()
    {
        using var bed = new EdgeBed();
        Assert.Empty(bed.State.BlockList.Apply([.. Enumerable.Range(1, 16).Select(i => new BlockRequest(IpPrefix.Parse($"10.{i}.0.0/16")))]));
        Assert.Empty(bed.State.BlockList.Apply([.. Enumerable.Range(101, 16).Select(i => new BlockRequest(IpPrefix.Parse($"10.{i}.0.0/16")))]));
        Assert.Equal(EdgeVerdict.Passed, bed.Verdict(From(IpAddress.Parse("10.1.0.1"))));
        Assert.Equal(EdgeVerdict.Blocked, bed.Verdict(From(IpAddress.Parse("10.116.0.1"))));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Whatever_is_added_removed_and_swept_in_whatever_order_a_source_is_blocked_while_any_prefix_around_it_is_in_force(int seed)
    {
        using var bed = new EdgeBed();
        var random = new Random(seed);
        var list = bed.State.BlockList;
        var (now, ends) = (0, new Dictionary<IpPrefix, int>());
        for (var step = 0; step < 400; step++)
        {
            var prefix = s_prefixes[random.Next(s_prefixes.Length)];
            switch (random.Next(6))
            {
                case 0 or 1:
                    var seconds = random.Next(3) == 0 ? int.MaxValue : random.Next(1, 30);
                    Assert.Null(list.Block(Request(prefix, seconds)));
                    ends[prefix] = End(seconds);
                    break;
                case 2:
                    // Whether an expired one is still there is a matter of sweeping.
                    var isInForce = ends.GetValueOrDefault(prefix) > now;
                    Assert.True(list.Unblock(prefix) || !isInForce);
                    ends.Remove(prefix);
                    break;
                case 3:
                    list.Sweep();
                    Assert.Equal(ends.Where(e => e.Value > now).Select(e => e.Key.ToString()).Order(), list.List().Select(b => b.Prefix.ToString()).Order());
                    break;
                case 4:
                    var wanted = s_prefixes.Where(_ => random.Next(2) == 0).ToDictionary(p => p, _ => random.Next(3) == 0 ? int.MaxValue : random.Next(1, 30));
                    Assert.Empty(list.Apply([.. wanted.Select(w => Request(w.Key, w.Value))]));
                    ends = wanted.ToDictionary(w => w.Key, w => End(w.Value));
                    break;
                default:
                    var passed = random.Next(1, 12);
                    now += passed;
                    bed.Twin.Environment.Advance(TimeSpan.FromSeconds(passed));
                    break;
            }

            foreach (var source in s_sources)
            {
                var expected = ends.Any(e => e.Value > now && e.Key.Contains(source)) ? EdgeVerdict.Blocked : EdgeVerdict.Passed;
                Assert.True(expected == bed.Verdict(From(source)), $"seed {seed}, step {step}, second {now}: {source} should be {expected}; {string.Join(", ", ends)}");
            }
        }

        int End(int seconds) => seconds == int.MaxValue ? int.MaxValue : now + seconds;
    }

    private static BlockRequest Request(IpPrefix prefix, int seconds) => new(prefix, seconds == int.MaxValue ? null : TimeSpan.FromSeconds(seconds));

    private static byte[] From(IpAddress source) => source.IsIPv4
        ? PacketBuilder.Ethernet().IPv4(source.ToString(), "192.0.2.1").Udp(1, 2).Build()
        : PacketBuilder.Ethernet().IPv6(source.ToString(), "2001:db8:1::1").Udp(1, 2).Build();
}
