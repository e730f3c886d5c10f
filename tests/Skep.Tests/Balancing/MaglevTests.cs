using System.Security.Cryptography;
using Skep.Balancing;
using Skep.Packets;

namespace Skep.Tests.Balancing;

public sealed class MaglevTests
{
    [Theory]
    [InlineData(new[] { 1, 1, 1 })]
    [InlineData(new[] { 1, 2 })]
    [InlineData(new[] { 10, 100 })]
    [InlineData(new[] { 1, 10, 100, 1000 })]
    [InlineData(new[] { 7, 11, 13, 17, 19, 23 })]
    public void Shares_follow_weights_within_a_tenth_of_a_percent(int[] weights)
    {
        var shares = Shares(Maglev.Build(Members(weights), 65537), weights.Length);
        for (var i = 0; i < weights.Length; i++)
        {
            Assert.Equal(weights[i] / (double)weights.Sum(), shares[i], 0.001);
        }
    }

    [Fact]
    public void One_weak_member_among_a_hundred_gets_its_share()
    {
        int[] weights = [50, .. Enumerable.Repeat(100, 99)];
        Assert.Equal(50 / 9950.0, Shares(Maglev.Build(Members(weights), 65537), 100)[0], 0.0001);
    }

    [Fact]
    public void The_ring_is_the_same_everywhere_and_for_ever()
    {
        var members = Members([1, 2, 3]);
        var ring = Maglev.Build(members, 251);
        Assert.Equal(ring, Maglev.Build([members[2], members[0], members[1]], 251));
        // Golden: a change of this hash moves connections between hosts that run different versions.
        Assert.Equal("053826655F2F4FB5", Convert.ToHexString(SHA256.HashData([.. ring.SelectMany(BitConverter.GetBytes)]))[..16]);
    }

    [Fact]
    public void Removing_a_member_moves_little_besides_its_own_slots()
    {
        var members = Members([.. Enumerable.Repeat(1, 100)]);
        var before = Maglev.Build(members, 65537);
        var after = Maglev.Build(members[..99], 65537);
        var others = Enumerable.Range(0, before.Length).Count(i => before[i] != after[i] && before[i] != 100);
        Assert.InRange(others / 65537.0, 0, 0.03);
        Assert.DoesNotContain((ushort)100, after);
    }

    [Fact]
    public void A_change_of_one_weight_moves_few_slots()
    {
        int[] equal = [.. Enumerable.Repeat(100, 100)];
        int[] changed = [50, .. equal[1..]];
        var before = Maglev.Build(Members(equal), 65537);
        var after = Maglev.Build(Members(changed), 65537);
        Assert.InRange(Enumerable.Range(0, before.Length).Count(i => before[i] != after[i]) / 65537.0, 0.0049, 0.02);
    }

    [Fact]
    public void No_member_gives_an_empty_ring()
    {
        Assert.All(Maglev.Build([], 251), slot => Assert.Equal(0, slot));
        Assert.All(Maglev.Build([new(1, IpAddress.Parse("10.0.0.1"), 80, 0)], 251), slot => Assert.Equal(0, slot));
    }

    [Fact]
    public void A_size_that_is_no_prime_is_refused_with_the_next_one()
    {
        Assert.Contains("65537", Assert.Throws<ArgumentException>(() => Maglev.Build([], 65536)).Message, StringComparison.Ordinal);
        Assert.Equal(251, Maglev.NextPrime(250));
        Assert.Equal(2, Maglev.NextPrime(0));
    }

    [Fact]
    public void Connections_spread_over_all_slots_alike()
    {
        var hits = new int[251];
        for (var i = 0; i < 251_000; i++)
        {
            var key = new ConnectionKey
            {
                Source = IpAddress.FromBytes([10, 0, (byte)(i % 8), (byte)(i % 200)]),
                RawPorts = (uint)NetworkUInt16.From((ushort)(1024 + (i / 8))).Raw | 0x5000_0000u,
            };
            hits[BackendChoice.SlotOf(in key, 251)]++;
        }

        // Mean 1000, deviation about 32.
        Assert.InRange(hits.Min(), 850, 1000);
        Assert.InRange(hits.Max(), 1000, 1150);
    }

    private static RingMember[] Members(int[] weights) =>
        [.. weights.Select((w, i) => new RingMember((ushort)(i + 1), IpAddress.FromBytes([10, 0, (byte)(i / 250), (byte)(i % 250 + 1)]), 8080, w))];

    private static double[] Shares(ushort[] ring, int members) =>
        [.. Enumerable.Range(1, members).Select(id => ring.Count(slot => slot == id) / (double)ring.Length)];
}
