using Skep.Bpf;
using Skep.Bpf.Maps;

namespace Skep.KernelTests.Maps;

public class BatchTests
{
    [KernelTheory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(7)]
    public void A_batch_smaller_than_a_bucket_still_reads_every_entry_once(int batch)
    {
        // Five thousand entries in 8,192 buckets: many hold two, three and more, which the kernel gives together or not at all.
        const uint Count = 5000;
        using var map = new HashMap<uint, ulong>(Count, "crowded");
        using var perCpu = new PerCpuHashMap<uint, ulong>(Count, "crowded");
        map.Bind(KernelMapStorage.Create(map));
        perCpu.Bind(KernelMapStorage.Create(perCpu));
        for (var i = 0u; i < Count; i++)
        {
            map.Set(i, i);
            perCpu.Set(i, i);
        }

        var seen = new HashSet<uint>();
        var seenPerCpu = new HashSet<uint>();

        Assert.Equal((int)Count, map.ReadAll((key, _) => Assert.True(seen.Add(key)), batch));
        Assert.Equal((int)Count, perCpu.ReadAll((in uint key, ReadOnlySpan<ulong> _) => Assert.True(seenPerCpu.Add(key)), batch));
    }

    [KernelTheory]
    [InlineData(MapKind.Hash)]
    [InlineData(MapKind.LpmTrie)]
    public void Entries_that_stay_are_read_whatever_comes_and_goes_meanwhile(MapKind kind)
    {
        using ValueMap<ulong, uint> map = kind == MapKind.Hash ? new HashMap<ulong, uint>(4096, "busy") : new LpmTrie<ulong, uint>(4096, "busy");
        map.Bind(KernelMapStorage.Create(map));
        // A prefix length of 32 in the lower half makes a key that both kinds take; the address is in the upper.
        static ulong Key(uint number) => 32 | ((ulong)number << 32);
        for (var i = 0u; i < 1000; i++)
        {
            map.Set(Key(i), i);
        }

        var stayed = new HashSet<uint>();
        var next = 1000u;
        map.ReadAll(
            (key, value) =>
            {
                if (value < 1000 && value % 2 == 0)
                {
                    stayed.Add(value);
                }

                // Every entry read takes an odd one away and brings a new one.
                map.Remove(Key((value * 2) + 1));
                if (next < 2000)
                {
                    map.Set(Key(next), next++);
                }
            },
            batch: 16);

        if (kind == MapKind.Hash)
        {
            Assert.Equal(500, stayed.Count);
        }
        else
        {
            // Without batch calls a key that went sends the walk back to the beginning, and it ends after as many steps as the map has room.
            Assert.NotEmpty(stayed);
        }
    }

    [KernelFact]
    public void Walking_the_keys_ends_although_they_are_removed_and_set_again()
    {
        using var map = new HashMap<uint, uint>(16, "restless");
        map.Bind(KernelMapStorage.Create(map));
        for (var i = 0u; i < 8; i++)
        {
            map.Set(i, i);
        }

        var seen = 0;
        foreach (var key in map.Keys)
        {
            map.Remove(key);
            map.Set(key + 100, 0);
            seen++;
        }

        Assert.InRange(seen, 1, 16);
    }

    [KernelFact]
    public void A_batch_must_hold_something()
    {
        using var map = new HashMap<uint, uint>(4, "small");
        map.Bind(KernelMapStorage.Create(map));

        Assert.Throws<ArgumentOutOfRangeException>(() => map.ReadAll((_, _) => { }, 0));
        Assert.Equal(0, map.ReadAll((_, _) => { }, int.MaxValue));
    }

    [KernelFact]
    public void A_failed_read_says_that_it_was_a_read()
    {
        using var map = new HashMap<uint, uint>(4, "small");
        map.Bind(KernelMapStorage.Create(map));
        map.Storage.Dispose();

        Assert.Throws<ObjectDisposedException>(() => map.ReadAll((_, _) => { }));
        Assert.Throws<ObjectDisposedException>(() => map.TryGet(1, out _));
    }
}
