using System.Runtime.InteropServices;
using Skep.Balancing;

namespace Skep.Tests.Balancing.Direct;

public sealed class FlowMigrationTests
{
    [Theory]
    [InlineData(1 << 8, 1 << 14)]
    [InlineData(1 << 16, 1 << 18)]
    [InlineData(1 << 17, 1 << 19)]
    [InlineData(1 << 10, 1 << 10)]
    [InlineData(1 << 10, 1 << 8)]
    public void A_flow_is_found_in_a_table_of_another_size(int before, int after)
    {
        var old = new FlowSet[before];
        var random = new Random(7);
        var hashes = new List<ulong>();
        for (var i = 0; i < 200; i++)
        {
            var hash = (ulong)random.NextInt64(1L << FlowSet.TagShift, long.MaxValue);
            hashes.Add(hash);
            old[hash & (ulong)(before - 1)].At((uint)i) = FlowSet.Entry(hash, FlowSet.Seen) | (uint)(i + 1);
        }

        var present = hashes.Where(h => Find(old, h) != 0).ToArray();
        var fresh = new FlowSet[after];
        var result = FlowMigration.Migrate(old, fresh);
        Assert.Equal(present.Length, result.Copied + result.NoRoom);
        Assert.True(result.NoRoom == 0 || after < before);
        Assert.Equal(present.Length - result.NoRoom, present.Count(h => Find(fresh, h) == Find(old, h)));

        // A second time nothing is added, and what has become of a flow meanwhile stays.
        var once = fresh.ToArray();
        FlowMigration.Migrate(old, fresh);
        Assert.True(MemoryMarshal.AsBytes(once.AsSpan()).SequenceEqual(MemoryMarshal.AsBytes(fresh.AsSpan())) || result.NoRoom > 0);
    }

    [Fact]
    public void Established_flows_go_first_and_leave_a_way_to_new_ones()
    {
        var old = new FlowSet[2];
        for (var i = 0u; i < FlowSet.Ways; i++)
        {
            old[0].At(i) = ((ulong)(i + 1) << FlowSet.TagShift) | FlowSet.Probation | 1;
            old[1].At(i) = ((ulong)(i + 101) << FlowSet.TagShift) | FlowSet.Seen | 2;
        }

        var fresh = new FlowSet[1];
        var result = FlowMigration.Migrate(old, fresh);
        Assert.Equal((8, 8), (result.Copied, result.NoRoom));
        Assert.Equal([1, 101, 102, 103, 104, 105, 106, 107], ((ReadOnlySpan<ulong>)fresh[0]).ToArray().Select(w => (int)(w >> FlowSet.TagShift)).Order());
    }

    [Fact]
    public void In_the_layout_of_before_a_flow_was_on_probation_by_its_place()
    {
        var old = new FlowSet[1];
        for (var i = 0u; i < FlowSet.Ways; i++)
        {
            // The tag had one bit more.
            old[0].At(i) = ((ulong)(i + 1) << FlowSet.TagShift) | ((i & 1) << 17) | 1;
        }

        var fresh = new FlowSet[1];
        Assert.Equal((8, 0), FlowMigration.Migrate(old, fresh, isFormer: true) is var result ? (result.Copied, result.NoRoom) : default);
        Assert.Equal([1, 2], ((ReadOnlySpan<ulong>)fresh[0]).ToArray().Where(w => !FlowSet.IsEstablished(w)).Select(w => (int)(w >> FlowSet.TagShift)).Order());
    }

    private static uint Find(FlowSet[] sets, ulong hash)
    {
        foreach (var way in sets[hash & (ulong)(sets.Length - 1)])
        {
            if (FlowSet.Holds(way, hash))
            {
                return (uint)way & 0xFFFF;
            }
        }

        return 0;
    }
}
