using System.Runtime.InteropServices;
using Skep.Balancing;

namespace Skep.Tests.Balancing.Direct;

public sealed class FlowMigrationTests
{
    private const int SeenAgain = 2;

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
            var hash = (ulong)random.NextInt64(1L << 17, long.MaxValue);
            hashes.Add(hash);
            Ways(ref old[hash & (ulong)(before - 1)])[SeenAgain + (i % 2)] = (hash & ~((1UL << FlowSet.TagShift) - 1)) | FlowSet.Seen | (uint)(i + 1);
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
    public void Flows_on_probation_stay_on_probation_and_those_seen_again_are_never_driven_out_by_them()
    {
        var old = new FlowSet[2];
        for (var i = 0; i < FlowSet.Ways; i++)
        {
            Ways(ref old[0])[i] = ((ulong)(i + 1) << FlowSet.TagShift) | 1;
            Ways(ref old[1])[i] = ((ulong)(i + 101) << FlowSet.TagShift) | 2;
        }

        var fresh = new FlowSet[1];
        var result = FlowMigration.Migrate(old, fresh);
        Assert.Equal((8, 8), (result.Copied, result.NoRoom));
        Assert.Equal([1, 2, 3, 4, 5, 6, 7, 8], Ways(ref fresh[0]).ToArray().Select(w => (int)(w >> FlowSet.TagShift)));
    }

    private static uint Find(FlowSet[] sets, ulong hash)
    {
        foreach (var way in Ways(ref sets[hash & (ulong)(sets.Length - 1)]))
        {
            if ((way ^ hash) >> FlowSet.TagShift == 0)
            {
                return (uint)way & 0xFFFF;
            }
        }

        return 0;
    }

    private static Span<ulong> Ways(ref FlowSet set) => MemoryMarshal.CreateSpan(ref set.Way0, FlowSet.Ways);
}
