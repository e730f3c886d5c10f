using Skep.Balancing;

namespace Skep.Tests.Balancing;

public sealed class RowPoolTests
{
    [Fact]
    public void Runs_never_overlap_and_all_rows_come_back()
    {
        var random = new Random(3);
        var pool = new RowPool(1000);
        var taken = new List<(uint Start, uint Length)>();
        for (var step = 0; step < 5000; step++)
        {
            if (random.Next(2) == 0 && pool.TryTake((uint)random.Next(1, 60), 0, out var start))
            {
                var length = 1000 - pool.Free - (uint)taken.Sum(t => t.Length);
                Assert.All(taken, t => Assert.True(start + length <= t.Start || t.Start + t.Length <= start));
                Assert.True(start + length <= 1000);
                taken.Add((start, length));
            }
            else if (taken.Count > 0)
            {
                var at = random.Next(taken.Count);
                pool.Release(taken[at].Start, taken[at].Length);
                taken.RemoveAt(at);
            }
        }

        taken.ForEach(t => pool.Release(t.Start, t.Length));
        Assert.Equal(1000u, pool.Free);
        Assert.True(pool.TryTake(1000, 0, out _));
    }

    [Fact]
    public void A_reserve_stays_free()
    {
        var pool = new RowPool(100);
        Assert.False(pool.TryTake(60, 50, out _));
        Assert.True(pool.TryTake(60, 40, out _));
        Assert.False(pool.TryTake(1, 40, out _));
        Assert.True(pool.TryTake(40, 0, out _));
    }

    [Fact]
    public void What_is_in_use_already_is_taken_over_once()
    {
        var pool = new RowPool(100);
        Assert.True(pool.Adopt(10, 20));
        Assert.False(pool.Adopt(29, 2));
        Assert.False(pool.Adopt(90, 11));
        Assert.True(pool.TryTake(10, 0, out var first));
        Assert.Equal(0u, first);
        Assert.True(pool.TryTake(70, 0, out var rest));
        Assert.Equal(30u, rest);
    }

    [Theory]
    [InlineData(2, 100, 4096)]
    [InlineData(8, 100, 8192)]
    [InlineData(100, 10, 65536)]
    [InlineData(1000, 10, 65536)]
    public void Rings_are_as_large_as_a_tenth_of_a_percent_takes(int members, int services, int slots)
    {
        var sizes = new RingSizes(65536, new RingSlots(false), 1 << 20);
        Assert.True(sizes.Fit([.. Enumerable.Repeat(members, services)]));
        Assert.Equal(slots, sizes.For(members));
    }

    [Fact]
    public void Many_services_get_smaller_rings_that_fit_together()
    {
        var slots = new RingSlots(true);
        var sizes = new RingSizes(65536, slots, 16 << 20);
        Assert.True(sizes.Fit([.. Enumerable.Repeat(100, 10_000)]));
        Assert.InRange(slots.RowsOf(sizes.For(100)) * 10_000L, 4 << 20, 16 << 20);
        Assert.False(sizes.Fit([.. Enumerable.Repeat(10_000, 10_000)]));
    }
}
