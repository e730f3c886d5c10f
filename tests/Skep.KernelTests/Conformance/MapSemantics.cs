using System.Runtime.InteropServices;
using Skep.Bpf;
using Skep.Bpf.Maps;

namespace Skep.KernelTests.Conformance;

/// <summary>What maps promise to the process that owns them, whichever engine holds them: one body, run by each.</summary>
public abstract class MapSemantics : IDisposable
{
    private readonly List<BpfMap> _maps = [];

    private protected record struct Prefix(uint Length, byte A, byte B, byte C, byte D)
    {
        public override readonly string ToString() => $"{A}.{B}.{C}.{D}/{Length}";
    }

    private protected record struct Wide(uint A, uint B, uint C, uint D, uint E);

    private protected record struct Odd(uint A, ushort B, ushort C, uint D);

    /// <summary>Gives the map storage of the engine under test.</summary>
    private protected abstract void Bind(BpfMap map);

    public void Dispose()
    {
        _maps.ForEach(m => m.Dispose());
        GC.SuppressFinalize(this);
    }

    private protected T Bound<T>(T map)
        where T : BpfMap
    {
        Bind(map);
        _maps.Add(map);
        return map;
    }

    [Fact]
    public void A_hash_map_creates_and_replaces_as_the_mode_says()
    {
        var map = Bound(new HashMap<uint, ulong>(2));
        Assert.Equal(-Errno.NoEntry, map.TrySet(1, 1, UpdateMode.Exist));
        Assert.Equal(0, map.TrySet(1, 1, UpdateMode.NoExist));
        Assert.Equal(-Errno.Exists, map.TrySet(1, 2, UpdateMode.NoExist));
        Assert.Equal(0, map.TrySet(1, 3, UpdateMode.Exist));
        Assert.Equal(-Errno.Invalid, map.TrySet(1, 3, (UpdateMode)3));
        Assert.Equal(0, map.TrySet(2, 2));
        Assert.Equal(-Errno.TooBig, map.TrySet(3, 3));
        Assert.Equal(0, map.TrySet(2, 4));
        Assert.True(map.Remove(1));
        Assert.False(map.Remove(1));
        Assert.Equal(0, map.TrySet(3, 3));
        Assert.Equal([(2u, 4ul), (3u, 3ul)], All(map));
    }

    [Fact]
    public void A_hash_map_that_allocates_when_used_is_full_at_the_same_point()
    {
        var map = Bound(new HashMap<Wide, Odd>(3, flags: MapFlags.NoPrealloc));
        for (var i = 0u; i < 3; i++)
        {
            Assert.Equal(0, map.TrySet(new Wide(i, 0, 0, 0, i), new Odd(i, 1, 2, 3)));
        }

        Assert.Equal(-Errno.TooBig, map.TrySet(new Wide(3, 0, 0, 0, 0), default));
        Assert.Equal(0, map.TrySet(new Wide(2, 0, 0, 0, 2), new Odd(9, 9, 9, 9)));
        Assert.True(map.TryGet(new Wide(2, 0, 0, 0, 2), out var value));
        Assert.Equal(new Odd(9, 9, 9, 9), value);
    }

    [Fact]
    public void Keys_end_with_no_entry_and_start_again_after_a_key_that_is_gone()
    {
        var map = Bound(new HashMap<uint, uint>(8));
        Span<byte> next = stackalloc byte[4];
        Assert.Equal(-Errno.NoEntry, map.Storage.NextKey(default, next));
        map.Set(7, 7);
        Assert.Equal(0, map.Storage.NextKey(default, next));
        Assert.Equal(7u, MemoryMarshal.Read<uint>(next));
        Assert.Equal(-Errno.NoEntry, map.Storage.NextKey(next.ToArray(), next));
        Assert.Equal(0, map.Storage.NextKey([1, 2, 3, 4], next));
        Assert.Equal(7u, MemoryMarshal.Read<uint>(next));
    }

    [Fact]
    public void An_LRU_map_takes_every_entry()
    {
        var map = Bound(new LruHashMap<uint, uint>(1024));
        for (var i = 0u; i < 5000; i++)
        {
            Assert.Equal(0, map.TrySet(i, i));
        }

        Assert.True(map.TryGet(4999, out _));

        // Not a certain one: what a processor has just taken in is on a list of its own, from which nothing is evicted while the thread is elsewhere.
        Assert.InRange(Enumerable.Range(0, 1024).Count(i => map.TryGet((uint)i, out _)), 0, 512);
        Assert.InRange(All(map).Count, 1, 1024);
    }

    [Fact]
    public void An_array_has_all_its_entries()
    {
        var map = Bound(new ArrayMap<Odd>(3));
        Assert.True(map.TryGet(2, out var value));
        Assert.Equal(default, value);
        Assert.False(map.TryGet(3, out _));
        Assert.Equal(-Errno.Exists, map.TrySet(1, default, UpdateMode.NoExist));
        Assert.Equal(-Errno.TooBig, map.TrySet(3, default));
        Assert.Equal(-Errno.Invalid, map.TrySet(3, default, (UpdateMode)3));
        Assert.Equal(0, map.TrySet(1, new Odd(1, 2, 3, 4), UpdateMode.Exist));
        Assert.Equal(Errno.Invalid, Assert.Throws<BpfException>(() => map.Remove(1)).ErrorNumber);
        Assert.Equal([0u, 1u, 2u], map.Keys);
        Assert.Equal([(0u, default), (1u, new Odd(1, 2, 3, 4)), (2u, default)], All(map));
    }

    [Fact]
    public void A_mapped_array_shows_its_live_entries_side_by_side()
    {
        var map = Bound(new ArrayMap<ulong>(700, flags: MapFlags.Mmapable));
        Assert.Equal(700, map.Entries.Length);
        map.Entries[699] = 7;
        Assert.True(map.TryGet(699, out var value));
        Assert.Equal(7ul, value);
        map.Set(1, 9);
        Assert.Equal(9ul, map.Entries[1]);
        Assert.Contains("Mmapable", Assert.Throws<InvalidOperationException>(() => Bound(new ArrayMap<ulong>(1)).Entries.Clear()).Message, StringComparison.Ordinal);
        Assert.Throws<InvalidOperationException>(() => Bound(new ArrayMap<Wide>(1, flags: MapFlags.Mmapable)).Entries.Clear());
    }

    [Fact]
    public void Per_CPU_maps_hold_a_value_for_each()
    {
        var hash = Bound(new PerCpuHashMap<uint, Odd>(2));
        hash.Set(5, new Odd(1, 2, 3, 4));
        Assert.True(hash.TryGet(5, out var values));
        Assert.All(values, v => Assert.Equal(new Odd(1, 2, 3, 4), v));
        Assert.Equal(hash.Storage.ValuesPerEntry, values.Length);
        Assert.False(hash.TryGet(6, out values));
        Assert.Empty(values);
        hash.Set(6, default);
        Assert.Equal(Errno.TooBig, Assert.Throws<BpfException>(() => hash.Set(7, default)).ErrorNumber);

        var array = Bound(new PerCpuArrayMap<uint>(2));
        array.Set(1, 9);
        Assert.True(array.TryGet(1, out var numbers));
        Assert.All(numbers, n => Assert.Equal(9u, n));
        Assert.True(array.TryGet(0, out numbers));
        Assert.All(numbers, n => Assert.Equal(0u, n));
        Assert.False(array.TryGet(2, out _));
        Assert.Equal(Errno.TooBig, Assert.Throws<BpfException>(() => array.Set(2, 1)).ErrorNumber);
    }

    [Fact]
    public void A_trie_finds_the_longest_prefix_and_lists_the_more_specific_first()
    {
        var trie = Bound(new LpmTrie<Prefix, uint>(8));
        foreach (var prefix in new Prefix[] { new(0, 0, 0, 0, 0), new(8, 10, 0, 0, 0), new(16, 10, 1, 0, 0), new(16, 10, 2, 0, 0), new(16, 192, 168, 0, 0) })
        {
            Assert.Equal(0, trie.TrySet(prefix, prefix.Length + prefix.B));
        }

        Assert.True(trie.TryGet(new Prefix(32, 10, 2, 3, 4), out var found));
        Assert.Equal(18u, found);
        Assert.True(trie.TryGet(new Prefix(12, 10, 1, 0, 0), out found));
        Assert.Equal(8u, found);
        Assert.Equal(
            ["10.1.0.0/16", "10.2.0.0/16", "10.0.0.0/8", "192.168.0.0/16", "0.0.0.0/0"], trie.Keys.Select(k => k.ToString()));
        Assert.False(trie.Remove(new Prefix(9, 10, 0, 0, 0)));
        Assert.True(trie.Remove(new Prefix(8, 10, 0, 0, 0)));
        Assert.True(trie.TryGet(new Prefix(32, 10, 9, 9, 9), out found));
        Assert.Equal(0u, found);
    }

    [Fact]
    public void A_trie_refuses_prefixes_that_cannot_be()
    {
        var trie = Bound(new LpmTrie<Prefix, uint>(2));
        Assert.Equal(-Errno.Invalid, trie.TrySet(new Prefix(33, 1, 1, 1, 1), 1));
        Assert.Equal(-Errno.Invalid, trie.TrySet(new Prefix(8, 1, 1, 1, 1), 1, (UpdateMode)3));
        Assert.Equal(0, trie.TrySet(new Prefix(8, 1, 0, 0, 0), 1, UpdateMode.NoExist));
        Assert.Equal(-Errno.Exists, trie.TrySet(new Prefix(8, 1, 0, 0, 0), 1, UpdateMode.NoExist));
        Assert.Equal(0, trie.TrySet(new Prefix(8, 2, 0, 0, 0), 1));
        Assert.Equal(-Errno.NoSpace, trie.TrySet(new Prefix(8, 3, 0, 0, 0), 1));
        Assert.Equal(0, trie.TrySet(new Prefix(8, 2, 0, 0, 0), 5, UpdateMode.Exist));
        Assert.False(trie.TryGet(new Prefix(33, 2, 0, 0, 0), out _));
        Assert.Equal(Errno.Invalid, Assert.Throws<BpfException>(() => trie.Remove(new Prefix(33, 0, 0, 0, 0))).ErrorNumber);
    }

    [Fact]
    public void Batches_give_every_entry_once()
    {
        var map = Bound(new HashMap<uint, uint>(1000));
        for (var i = 0u; i < 1000; i++)
        {
            map.Set(i, i * 3);
        }

        var seen = new Dictionary<uint, uint>();
        Assert.Equal(1000, map.ReadAll((k, v) => seen.Add(k, v), 64));
        Assert.All(seen, e => Assert.Equal(e.Key * 3, e.Value));
    }

    private protected static List<(TKey Key, TValue Value)> All<TKey, TValue>(ValueMap<TKey, TValue> map)
        where TKey : unmanaged
        where TValue : unmanaged
    {
        var entries = new List<(TKey Key, TValue Value)>();
        map.ReadAll((k, v) => entries.Add((k, v)), 256);
        entries.Sort((a, b) => MemoryMarshal.AsBytes([a.Key]).SequenceCompareTo(MemoryMarshal.AsBytes([b.Key])));
        return entries;
    }
}
