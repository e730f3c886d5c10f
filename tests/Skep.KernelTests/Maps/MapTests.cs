using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Skep.Bpf;
using Skep.Bpf.Compiler;
using Skep.Bpf.Kernel;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.KernelTests.Surroundings;

namespace Skep.KernelTests.Maps;

public class MapTests
{
    private static T Bound<T>(T map)
        where T : BpfMap
    {
        map.Bind(KernelMapStorage.Create(map));
        return map;
    }

    public static TheoryData<string> ValueKinds => ["hash", "LRU hash"];

    private static ValueMap<uint, ulong> Make(string kind, uint entries) => kind switch
    {
        "hash" => Bound(new HashMap<uint, ulong>(entries, "numbers")),
        _ => Bound(new LruHashMap<uint, ulong>(entries, "numbers")),
    };

    [KernelTheory]
    [MemberData(nameof(ValueKinds))]
    public void Entries_are_set_read_replaced_and_removed(string kind)
    {
        using var map = Make(kind, 100);
        map.Set(1, 10);
        map.Set(1, 11);
        map.Set(2, 20);

        Assert.True(map.TryGet(1, out var one));
        Assert.Equal(11ul, one);
        Assert.Equal([1u, 2u], map.Keys.Order());
        Assert.Equal(-Errno.Exists, map.TrySet(1, 12, UpdateMode.NoExist));
        Assert.Equal(-Errno.NoEntry, map.TrySet(3, 30, UpdateMode.Exist));
        Assert.True(map.Remove(1));
        Assert.False(map.Remove(1));
        Assert.False(map.TryGet(1, out _));
    }

    [KernelTheory]
    [MemberData(nameof(ValueKinds))]
    public void Batches_write_and_read_every_entry_once(string kind)
    {
        const int Count = 10_000;
        using var map = Make(kind, 2 * Count);
        var keys = Enumerable.Range(0, Count).Select(i => (uint)i).ToArray();
        var values = keys.Select(k => k * 3ul).ToArray();

        map.SetAll(keys, values);

        var read = new Dictionary<uint, ulong>();
        Assert.Equal(Count, map.ReadAll(read.Add, 256));
        Assert.All(read, entry => Assert.Equal(entry.Key * 3ul, entry.Value));
        Assert.Equal(Count, read.Count);
    }

    [KernelFact]
    [ProvesMap(MapKind.LruPerCpuHash)]
    public void A_program_counts_by_CPU_and_the_oldest_entries_are_forgotten()
    {
        var program = new CountsByByte();
        using var loaded = ProgramLoader.Load(ProgramCompiler.Compile(program));
        using var counts = program.Counts;
        var packet = new byte[64];
        for (var i = 0; i < 2000; i++)
        {
            BitConverter.TryWriteBytes(packet, i);
            loaded.TestRun(packet, new TestRunOptions { Repeat = 3 });
        }

        var entries = counts.Keys.ToArray();
        Assert.InRange(entries.Length, 1, 256);
        Assert.Contains(1999u, entries);
        var values = new ulong[counts.Storage.ValuesPerEntry];
        Assert.True(counts.TryGet(1999, values));
        Assert.Equal(3ul, values.Aggregate(static (a, b) => a + b));
    }

    private sealed class CountsByByte : XdpProgram
    {
        public LruPerCpuHashMap<uint, ulong> Counts { get; } = new(256);

        public override unsafe XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 4 > context.DataEnd)
            {
                return XdpAction.Aborted;
            }

            var key = *(uint*)data;
            ref var count = ref Counts.Find(in key);
            if (System.Runtime.CompilerServices.Unsafe.IsNullRef(ref count))
            {
                var one = 1ul;
                Counts.Update(in key, in one, UpdateMode.Any);
            }
            else
            {
                count++;
            }

            return XdpAction.Pass;
        }
    }

    [KernelFact]
    public void A_full_hash_table_says_so()
    {
        using var map = Bound(new HashMap<uint, ulong>(2, "tiny"));
        map.Set(1, 1);
        map.Set(2, 2);

        var refusal = Assert.Throws<BpfException>(() => map.Set(3, 3));

        Assert.Equal(Errno.TooBig, refusal.ErrorNumber);
        Assert.Contains("'tiny' (Hash, 2 entries)", refusal.Message);
        Assert.Contains("the map is full at 2 entries", refusal.Message);
    }

    [KernelFact]
    public void An_array_has_all_its_entries_from_the_start()
    {
        using var map = Bound(new ArrayMap<ulong>(300, "array"));
        map.Set(299, 7);

        var sum = 0ul;
        Assert.Equal(300, map.ReadAll((_, value) => sum += value, 64));
        Assert.Equal(7ul, sum);
        Assert.Equal(-Errno.TooBig, map.TrySet(300, 1));
    }

    [KernelFact]
    public void A_mapped_array_is_memory()
    {
        using var map = Bound(new ArrayMap<uint>(5000, "mapped", MapFlags.Mmapable));
        map.Find(4999) = 17;

        Assert.True(map.TryGet(4999, out var value));
        Assert.Equal(17u, value);
        Assert.True(Unsafe.IsNullRef(ref map.Find(5000)));
    }

    [KernelFact]
    public void Values_in_the_kernel_have_no_address_without_mapping()
    {
        using var map = Bound(new HashMap<uint, ulong>(1, "far"));

        Assert.Contains("Mmapable", Assert.Throws<InvalidOperationException>(() => map.Find(1)).Message);
    }

    [KernelFact]
    public void Per_CPU_entries_have_a_value_for_each_possible_CPU()
    {
        using var array = Bound(new PerCpuArrayMap<uint>(3, "counters"));
        using var hash = Bound(new PerCpuHashMap<uint, uint>(3, "counts"));
        array.Set(2, 5);
        hash.Set(9, 6);

        Assert.True(array.TryGet(2, out var counters));
        Assert.True(hash.TryGet(9, out var counts));
        Assert.Equal(Enumerable.Repeat(5u, PossibleCpus.Count), counters);
        Assert.Equal(Enumerable.Repeat(6u, PossibleCpus.Count), counts);
        Assert.False(hash.TryGet(8, out _));
    }

    [KernelFact]
    public void Per_CPU_batches_carry_every_value()
    {
        using var hash = Bound(new PerCpuHashMap<uint, uint>(100, "counts"));
        for (var i = 0u; i < 50; i++)
        {
            hash.Set(i, i + 1);
        }

        var seen = new HashSet<uint>();
        var entries = hash.ReadAll(
            (in uint key, ReadOnlySpan<uint> perCpu) =>
            {
                Assert.True(seen.Add(key));
                Assert.Equal(Enumerable.Repeat(key + 1, PossibleCpus.Count), perCpu.ToArray());
            },
            batch: 60);

        Assert.Equal(50, entries);
    }

    [KernelFact]
    public void Many_entries_into_a_full_table_say_so()
    {
        using var map = Bound(new HashMap<uint, ulong>(2, "tiny"));

        Assert.Equal(Errno.TooBig, Assert.Throws<BpfException>(() => map.SetAll([1, 2, 3], [1, 2, 3])).ErrorNumber);
        Assert.Throws<ArgumentException>(() => map.SetAll([1, 2], [1]));
    }

    [KernelFact]
    public void A_frozen_map_is_read_only()
    {
        using var map = Bound(new HashMap<uint, ulong>(2, "constants"));
        map.Set(1, 1);
        ((KernelMapStorage)map.Storage).Freeze();

        Assert.Equal(-Errno.Permission, map.TrySet(1, 2));
        Assert.True(map.TryGet(1, out var value));
        Assert.Equal(1ul, value);
    }

    [StructLayout(LayoutKind.Sequential)]
    private record struct Prefix(uint Length, uint Address);

    private static Prefix Net(string text, uint length) => new(length, BitConverter.ToUInt32(System.Net.IPAddress.Parse(text).GetAddressBytes()));

    [KernelFact]
    public void The_longest_prefix_matches()
    {
        using var trie = Bound(new LpmTrie<Prefix, uint>(100, "prefixes"));
        trie.Set(Net("10.0.0.0", 8), 8);
        trie.Set(Net("10.1.0.0", 16), 16);

        Assert.True(trie.TryGet(Net("10.1.2.3", 32), out var inner));
        Assert.True(trie.TryGet(Net("10.2.2.3", 32), out var outer));
        Assert.False(trie.TryGet(Net("11.2.2.3", 32), out _));
        Assert.Equal((16u, 8u), (inner, outer));
    }

    [KernelFact]
    public void A_trie_is_read_whole_without_batch_calls()
    {
        using var trie = Bound(new LpmTrie<Prefix, uint>(1000, "prefixes"));
        for (var i = 0u; i < 300; i++)
        {
            trie.Set(new Prefix(32, i), i);
        }

        var seen = new Dictionary<uint, uint>();
        Assert.Equal(300, trie.ReadAll((key, value) => seen.Add(key.Address, value), 7));
        Assert.All(seen, entry => Assert.Equal(entry.Key, entry.Value));
    }

    [KernelFact]
    public void Buffers_of_the_wrong_size_never_reach_the_kernel()
    {
        using var map = Bound(new PerCpuArrayMap<uint>(3, "counters"));

        Assert.Throws<ArgumentException>(() => map.Storage.Read(new byte[4], new byte[4]));
        Assert.Throws<ArgumentException>(() => map.Storage.Read(new byte[2], new byte[8 * PossibleCpus.Count]));
    }

    [KernelFact]
    public void A_map_is_found_again_by_id_and_by_pin()
    {
        using var pins = new TestPins();
        using var map = Bound(new HashMap<uint, ulong>(8, "a name that is too long for the kernel"));
        map.Set(1, 5);
        var storage = (KernelMapStorage)map.Storage;
        storage.Pin(pins.Path("numbers"));

        using var byId = KernelMapStorage.OpenById(storage.Id);
        using var same = new HashMap<uint, ulong>(8);
        same.Bind(KernelMapStorage.OpenPinned(pins.Path("numbers"), same));

        Assert.Equal("a_name_that_is_", byId.Name);
        Assert.Equal((MapKind.Hash, 4, 8, 8u), (byId.Kind, byId.KeySize, byId.ValueSize, byId.MaxEntries));
        Assert.True(same.TryGet(1, out var value));
        Assert.Equal(5ul, value);
    }

    [KernelFact]
    public void A_pin_of_another_layout_is_refused_with_the_difference()
    {
        using var pins = new TestPins();
        using var map = Bound(new HashMap<uint, ulong>(8, "numbers"));
        ((KernelMapStorage)map.Storage).Pin(pins.Path("numbers"));
        using var other = new LruHashMap<uint, uint>(8, "numbers");

        var refusal = Assert.Throws<MapMismatchException>(() => KernelMapStorage.OpenPinned(pins.Path("numbers"), other));

        Assert.Equal(["kind: pinned Hash, wanted LruHash", "value size: pinned 8, wanted 4"], refusal.Differences);
        Assert.Contains(pins.Path("numbers"), refusal.Message);
    }
}
