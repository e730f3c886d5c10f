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
        var shares = Shares(Fill(65537, Members(weights)), weights.Length);
        for (var i = 0; i < weights.Length; i++)
        {
            Assert.Equal(weights[i] / (double)weights.Sum(), shares[i], 0.001);
        }
    }

    [Fact]
    public void One_weak_member_among_a_hundred_gets_its_share()
    {
        int[] weights = [50, .. Enumerable.Repeat(100, 99)];
        Assert.Equal(50 / 9950.0, Shares(Fill(65537, Members(weights)), 100)[0], 0.0001);
    }

    [Fact]
    public void The_ring_is_the_same_everywhere_and_for_ever()
    {
        var members = Members([1, 2, 3]);
        var ring = Fill(251, members);
        // Golden: a change of this hash moves connections between hosts that run different versions.
        Assert.Equal("CF27EED37C2BEECA", Convert.ToHexString(SHA256.HashData([.. ring.SelectMany(BitConverter.GetBytes)]))[..16]);
    }

    [Fact]
    public void Removing_a_member_moves_little_besides_its_own_slots()
    {
        var members = Members([.. Enumerable.Repeat(1, 100)]);
        var before = Fill(65537, members);
        var after = Fill(65537, members[..99]);
        var others = Enumerable.Range(0, before.Length).Count(i => before[i] != after[i] && before[i] != 100);
        Assert.InRange(others / 65537.0, 0, 0.03);
        Assert.DoesNotContain((ushort)100, after);
    }

    [Fact]
    public void No_member_gives_an_empty_ring()
    {
        var ring = new ushort[251];
        Assert.False(Maglev.Fill<ushort>(ring, []));
        Assert.False(Maglev.Fill<ushort>(ring, [new(1, IpAddress.Parse("10.0.0.1"), 80, 0)]));
        Assert.All(ring, slot => Assert.Equal(0, slot));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(12)]
    [InlineData(256)]
    [InlineData(65536)]
    public void Any_size_is_filled(int size)
    {
        var ring = Fill(size, Members([1, 1]));
        Assert.DoesNotContain((ushort)0, ring);
        Assert.InRange(ring.Count(s => s == 1) - (size / 2), 0, 1);
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
            hits[BackendChoice.SlotOf(BackendChoice.HashOf(in key), 251)]++;
        }

        // Mean 1000, deviation about 32.
        Assert.InRange(hits.Min(), 850, 1000);
        Assert.InRange(hits.Max(), 1000, 1150);
    }

    [Fact]
    public void Wide_slots_hold_the_same_ring()
    {
        var wide = new uint[251];
        Maglev.Fill<uint>(wide, Members([1, 2, 3]));
        Assert.Equal(Fill(251, Members([1, 2, 3])).Select(s => (uint)s), wide);
    }

    private static ushort[] Fill(int size, RingMember[] members)
    {
        var ring = new ushort[size];
        Assert.True(Maglev.Fill<ushort>(ring, members));
        return ring;
    }

    private static RingMember[] Members(int[] weights) =>
        [.. weights.Select((w, i) => new RingMember((uint)(i + 1), IpAddress.FromBytes([10, 0, (byte)(i / 250), (byte)(i % 250 + 1)]), 8080, w))];

    private static double[] Shares(ushort[] ring, int members) =>
        [.. Enumerable.Range(1, members).Select(id => ring.Count(slot => slot == id) / (double)ring.Length)];
}
