using Skep.Bpf;
using Skep.Bpf.Maps;
using Skep.Bpf.Twin;

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

    public static TheoryData<MapKind, bool> Takers => new()
    {
        { MapKind.Hash, true }, { MapKind.Hash, false }, { MapKind.LruHash, true }, { MapKind.LruHash, false },
        { MapKind.LpmTrie, true }, { MapKind.LpmTrie, false },
    };

    [KernelTheory]
    [MemberData(nameof(Takers))]
    public void Taking_reads_every_entry_once_and_leaves_none(MapKind kind, bool kernel)
    {
        using var twin = new TwinEngine();
        using ValueMap<ulong, uint> map = kind switch
        {
            MapKind.Hash => new HashMap<ulong, uint>(2000, "taken"),
            MapKind.LruHash => new LruHashMap<ulong, uint>(8000, "taken"),
            _ => new LpmTrie<ulong, uint>(2000, "taken"),
        };
        Bind(map, kernel, twin);
        static ulong Key(uint number) => 32 | ((ulong)number << 32);
        map.SetAll([.. Enumerable.Range(0, 1500).Select(i => Key((uint)i))], [.. Enumerable.Range(0, 1500).Select(i => (uint)i)]);

        Assert.True(map.TryTake(Key(7), out var seven) && seven == 7);
        Assert.False(map.TryTake(Key(7), out _));
        var seen = new HashSet<uint>();
        using var batches = map.TakeBatches(100);
        while (batches.Read())
        {
            foreach (var value in batches.Values)
            {
                Assert.True(seen.Add(value));
            }
        }

        Assert.Equal(1499, seen.Count);
        Assert.Empty(map.Keys);
    }

    [KernelTheory]
    [InlineData(true)]
    [InlineData(false)]
    public void Removing_many_counts_those_that_were_there(bool kernel)
    {
        using var twin = new TwinEngine();
        using var map = new HashMap<uint, uint>(1000, "many");
        using var trie = new LpmTrie<ulong, uint>(10, "few");
        Bind(map, kernel, twin);
        Bind(trie, kernel, twin);
        for (var i = 0u; i < 1000; i += 2)
        {
            map.Set(i, i);
        }

        trie.Set(32, 1);

        Assert.Equal(250, map.RemoveAll([.. Enumerable.Range(0, 500).Select(i => (uint)i)]));
        Assert.Equal(250, map.ReadAll((key, _) => Assert.True(key >= 500)));
        Assert.Equal(0, map.RemoveAll([1, 3, 5]));
        Assert.Equal(0, map.RemoveAll([]));
        Assert.Equal(1, trie.RemoveAll([16, 32, 8]));
    }

    [KernelTheory]
    [InlineData(true)]
    [InlineData(false)]
    public void Values_of_all_cpus_go_in_and_out_in_batches(bool kernel)
    {
        using var twin = new TwinEngine();
        using var hash = new PerCpuHashMap<uint, ushort>(500, "counts");
        using var array = new PerCpuArrayMap<uint>(300, "slots");
        Bind(hash, kernel, twin);
        Bind(array, kernel, twin);
        var cpus = hash.Storage.ValuesPerEntry;
        var keys = Enumerable.Range(0, 300).Select(i => (uint)i).ToArray();
        hash.SetAll(keys, [.. keys.SelectMany(k => Enumerable.Range(0, cpus).Select(cpu => (ushort)((k * 10) + cpu)))]);
        array.SetAll(keys, [.. keys.SelectMany(k => Enumerable.Range(0, cpus).Select(cpu => (k * 10) + (uint)cpu))]);

        Assert.Equal(300, array.ReadAll((in uint key, ReadOnlySpan<uint> values) => Assert.Equal((key * 10) + (uint)cpus - 1, values[^1])));
        using var batches = hash.TakeBatches(64);
        var taken = 0;
        while (batches.Read())
        {
            for (var i = 0; i < batches.Count; i++, taken++)
            {
                Assert.Equal((ushort)(batches.Keys[i] * 10), batches.Values(i)[0]);
                Assert.Equal((ushort)((batches.Keys[i] * 10) + cpus - 1), batches.Values(i)[^1]);
            }
        }

        Assert.Equal(300, taken);
        Assert.Empty(hash.Keys);
        Assert.Throws<ArgumentException>(() => hash.SetAll([1], []));
    }

    private static void Bind(BpfMap map, bool kernel, TwinEngine twin)
    {
        if (kernel)
        {
            map.Bind(KernelMapStorage.Create(map));
        }
        else
        {
            twin.Bind(map);
        }
    }
}
