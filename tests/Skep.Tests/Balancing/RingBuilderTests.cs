using Skep.Balancing;
using Skep.Packets;

namespace Skep.Tests.Balancing;

public sealed class RingBuilderTests
{
    private const int Size = 65537;

    private readonly RingBuilder _builder = new(2000);

    [Theory]
    [InlineData(100, 0, 90)]
    [InlineData(100, 0, 50)]
    [InlineData(100, 0, 0)]
    [InlineData(100, 99, 200)]
    [InlineData(1000, 500, 90)]
    [InlineData(3, 1, 99)]
    public void One_weight_moves_what_its_share_changed_and_nothing_else(int count, int member, int weight)
    {
        var members = Members(Enumerable.Repeat(100, count));
        var (ring, before) = Made(members);
        var old = ring.ToArray();
        members[member] = members[member] with { Weight = weight };
        var quotas = new int[count];
        var moved = _builder.Apply<ushort>(ring, members, quotas);
        Assert.Equal(Least(before, quotas), moved);
        Assert.Equal(moved, Different(old, ring));
        AssertExact(ring, members, quotas);
        // What the changed member loses or gains, and less than a slot of rounding for what the others share of it.
        Assert.InRange(moved, Math.Abs(before[member] - quotas[member]), Math.Abs(before[member] - quotas[member]) + 1);
    }

    [Fact]
    public void Any_change_moves_the_least_there_is_and_ends_exact()
    {
        var random = new Random(7);
        var members = Members(Enumerable.Range(0, 200).Select(_ => random.Next(0, 1001)));
        var (ring, held) = Made(members);
        for (var round = 0; round < 50; round++)
        {
            var old = ring.ToArray();
            for (var i = 0; i < members.Length; i++)
            {
                members[i] = members[i] with { Weight = random.Next(3) switch { 0 => members[i].Weight, 1 => 0, _ => random.Next(1_000_001) } };
            }

            var quotas = new int[members.Length];
            var moved = _builder.Apply<ushort>(ring, members, quotas);
            Assert.Equal(Least(held, quotas), moved);
            Assert.Equal(moved, Different(old, ring));
            AssertExact(ring, members, quotas);
            held = quotas;
        }
    }

    [Fact]
    public void Slots_of_a_member_that_is_gone_go_to_the_others_and_those_of_a_new_one_come_from_all()
    {
        var members = Members(Enumerable.Repeat(1, 10));
        var (ring, _) = Made(members);
        var old = ring.ToArray();
        Assert.Equal(old.Count(s => s == 10), _builder.Apply<ushort>(ring, members[..9], new int[9]));
        Assert.All(Enumerable.Range(0, Size).Where(i => old[i] != 10), i => Assert.Equal(old[i], ring[i]));
        Assert.DoesNotContain((ushort)10, ring);
        var moved = _builder.Apply<ushort>(ring, members, new int[10]);
        Assert.Equal(ring.Count(s => s == 10), moved);
        Assert.Equal(0.1, moved / (double)Size, 0.0001);
    }

    [Fact]
    public void What_moves_is_spread_over_all_clients()
    {
        var members = Members([100, 100]);
        var (ring, _) = Made(members);
        var old = ring.ToArray();
        _builder.Apply<ushort>(ring, [members[0] with { Weight = 90 }, members[1]], new int[2]);
        var moved = Enumerable.Range(0, Size).Where(i => old[i] != ring[i]).ToArray();
        var perTenth = moved.CountBy(i => i * 10 / Size).Select(t => t.Value).ToArray();
        Assert.Equal(10, perTenth.Length);
        Assert.All(perTenth, n => Assert.InRange(n, moved.Length / 12, moved.Length / 8));
    }

    [Fact]
    public void Nobody_with_weight_leaves_an_empty_ring_and_the_next_members_get_that_of_a_first_build()
    {
        var members = Members([3, 2]);
        var (ring, _) = Made(members);
        var first = ring.ToArray();
        _builder.Apply<ushort>(ring, [members[0] with { Weight = 0 }, members[1] with { Weight = 0 }], new int[2]);
        Assert.All(ring, slot => Assert.Equal(0, slot));
        _builder.Apply<ushort>(ring, members, new int[2]);
        Assert.Equal(first, ring);
    }

    [Fact]
    public void The_same_changes_give_the_same_ring_whatever_the_ids()
    {
        var here = Members([5, 3, 2]);
        RingMember[] there = [.. here.Select(m => m with { Id = m.Id + 700 })];
        var (one, _) = Made(here);
        var (other, _) = Made(there);
        here[1] = here[1] with { Weight = 9 };
        there[1] = there[1] with { Weight = 9 };
        _builder.Apply<ushort>(one, here, new int[3]);
        _builder.Apply<ushort>(other, there, new int[3]);
        Assert.Equal(one.Select(s => s + 700), other.Select(s => (int)s));
    }

    [Fact]
    public void Every_moment_of_a_change_is_a_ring_of_old_and_new_owners()
    {
        // Slots are written one by one in place: whatever a program reads meanwhile is what was there or what will be.
        var members = Members(Enumerable.Repeat(10, 7));
        var (ring, _) = Made(members);
        Assert.DoesNotContain((ushort)0, ring);
        _builder.Apply<ushort>(ring, [.. members.Skip(2)], new int[5]);
        Assert.DoesNotContain((ushort)0, ring);
        Assert.DoesNotContain((ushort)1, ring);
    }

    [Theory]
    [InlineData(256, 65536)]
    [InlineData(65536, 256)]
    [InlineData(251, 65537)]
    public void A_stretched_ring_gives_clients_the_members_they_had(int from, int to)
    {
        var members = Members([1, 2, 5]);
        var old = new ushort[from];
        _builder.Apply<ushort>(old, members, new int[3]);
        var ring = new ushort[to];
        RingBuilder.Stretch<ushort>(old, ring);
        Assert.All(Enumerable.Range(0, to), i => Assert.Equal(old[(int)((i + 0.5) * from / to)], ring[i]));

        // The client at a point of the circle.
        var same = Enumerable.Range(0, 65536).Count(p => old[(long)p * from / 65536] == ring[(long)p * to / 65536]);
        Assert.InRange(same, from == 256 ? 65536 : from == 251 ? 65000 : 256, 65536);
    }

    [Fact]
    public void Quotas_are_exact_and_ties_leave_slots_where_they_are()
    {
        int[] Quotas(int[] weights, int[] held, int slots)
        {
            var quotas = new int[weights.Length];
            RingQuota.Write(Members(weights), held, slots, quotas);
            return quotas;
        }

        Assert.Equal([4, 3, 3], Quotas([1, 1, 1], [0, 0, 0], 10));
        Assert.Equal([3, 3, 4], Quotas([1, 1, 1], [3, 3, 4], 10));
        Assert.Equal([0, 10], Quotas([0, 7], [5, 5], 10));
        Assert.Equal([0, 0], Quotas([0, 0], [5, 5], 10));
        Assert.Equal([65472, 65], Quotas([1_000_000, 1000], [0, 0], Size));
        Assert.Equal(Size, Quotas([.. Enumerable.Repeat(1_000_000, 65536)], new int[65536], Size).Sum());
    }

    internal static RingMember[] Members(IEnumerable<int> weights) =>
        [.. weights.Select((w, i) => new RingMember((uint)(i + 1), IpAddress.FromBytes([10, (byte)(i >> 16), (byte)(i >> 8), (byte)i]), 8080, w))];

    private (ushort[] Ring, int[] Held) Made(RingMember[] members)
    {
        var ring = new ushort[Size];
        var quotas = new int[members.Length];
        _builder.Apply<ushort>(ring, members, quotas);
        AssertExact(ring, members, quotas);
        return (ring, quotas);
    }

    private static int Least(int[] before, int[] after) => before.Zip(after).Sum(p => Math.Max(0, p.First - p.Second));

    private static int Different(ushort[] before, ushort[] after) => before.Zip(after).Count(p => p.First != p.Second);

    private static void AssertExact(ushort[] ring, RingMember[] members, int[] quotas)
    {
        var counts = ring.CountBy(s => (uint)s).ToDictionary();
        double total = members.Sum(m => (long)m.Weight);
        for (var i = 0; i < members.Length; i++)
        {
            Assert.Equal(quotas[i], counts.GetValueOrDefault(members[i].Id));
            Assert.InRange(quotas[i] - (members[i].Weight / total * ring.Length), -1, 1);
        }
    }
}
