using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Twin;

namespace Skep.Benchmarks.Twin;

/// <summary>ns per operation of the twin's maps, hash maps against <see cref="Dictionary{TKey, TValue}"/>.</summary>
internal static class MapBenchmark
{
    private const int Entries = 10_000;
    private const int Operations = 2_000_000;
    private const int Rounds = 7;
    private const string Baseline = "Dictionary<TKey, TValue>";

    private record struct Key16(ulong A, ulong B);

    private record struct Key40(ulong A, ulong B, ulong C, ulong D, ulong E);

    private record struct Prefix(uint Length, uint Address);

    public static IEnumerable<BenchmarkRow> Run()
    {
        using var twin = new TwinEngine();
        yield return Find("find, key of 4 bytes", twin, new HashMap<uint, ulong>(Entries), i => i * 2654435761u);
        yield return Find("find, key of 16 bytes", twin, new HashMap<Key16, ulong>(Entries), i => new Key16(i, i * 7));
        yield return Find("find, key of 40 bytes", twin, new HashMap<Key40, ulong>(Entries), i => new Key40(i, 1, 2, 3, i));
        yield return Find("find and refresh, LRU, 40 bytes", twin, new LruHashMap<Key40, ulong>(Entries), i => new Key40(i, 1, 2, 3, i));
        yield return Trie(twin);
    }

    private static BenchmarkRow Find<TKey>(string name, TwinEngine twin, ValueMap<TKey, ulong> map, Func<uint, TKey> keyOf)
        where TKey : unmanaged
    {
        twin.Bind(map);
        var keys = new TKey[Entries];
        var dictionary = new Dictionary<TKey, ulong>(Entries);
        for (var i = 0u; i < Entries; i++)
        {
            keys[i] = keyOf(i);
            map.Set(keys[i], i);
            dictionary[keys[i]] = i;
        }

        new Random(1).Shuffle(keys);
        var ours = Best(() =>
        {
            for (var i = 0; i < Operations; i++)
            {
                map.Find(in keys[i % Entries])++;
            }
        });
        var baseline = Best(() =>
        {
            for (var i = 0; i < Operations; i++)
            {
                System.Runtime.InteropServices.CollectionsMarshal.GetValueRefOrNullRef(dictionary, keys[i % Entries])++;
            }
        });
        return new BenchmarkRow(name, "time", "ns", ours, baseline, Baseline);
    }

    private static BenchmarkRow Trie(TwinEngine twin)
    {
        var trie = new LpmTrie<Prefix, ulong>(Entries);
        twin.Bind(trie);
        var random = new Random(2);
        for (var i = 0; i < Entries; i++)
        {
            trie.Set(new Prefix((uint)random.Next(8, 29), (uint)random.Next()), 1);
        }

        var time = Best(() =>
        {
            for (var i = 0u; i < Operations; i++)
            {
                ref var found = ref trie.Find(new Prefix(32, i * 2654435761u));
                if (!Unsafe.IsNullRef(ref found))
                {
                    found++;
                }
            }
        });
        return new BenchmarkRow($"longest prefix of {Entries}", "time", "ns", time, null, null);
    }

    private static double Best(Action run)
    {
        var best = double.MaxValue;
        for (var round = 0; round < Rounds; round++)
        {
            var start = ThreadClock.Nanoseconds;
            run();
            best = Math.Min(best, (ThreadClock.Nanoseconds - start) / (double)Operations);
        }

        return Math.Round(best, 2);
    }
}
