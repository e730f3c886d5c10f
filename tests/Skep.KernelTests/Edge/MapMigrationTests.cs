using System.Globalization;
using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Engine;
using Skep.KernelTests.Surroundings;

namespace Skep.KernelTests.Edge;

/// <summary>What the next agent finds of maps that it wants in another size or layout, and what stays when that cannot be.</summary>
public sealed class MapMigrationTests : IDisposable
{
    private readonly TestPins _pins = new();

    public void Dispose() => _pins.Dispose();

    private struct KeyBefore
    {
        public uint Address;
        public ushort Port;
        public ushort Zone;
    }

    private struct Key
    {
        public ulong Tenant;
        public uint Address;
        public uint Port;
        public ushort Zone;
        public ushort Reserved;
        public uint Rest;
    }

    private struct Before
    {
        public uint Packets;
        public int Balance;
        public uint Forgotten;
    }

    private struct After
    {
        public long Balance;
        public ulong Packets;
        public ulong Since;
    }

    [KernelTheory]
    [InlineData(MapKind.Hash)]
    [InlineData(MapKind.LruHash)]
    public void Entries_of_a_table_survive_another_layout_of_their_keys_and_values(MapKind kind)
    {
        using (var before = Start(kind == MapKind.Hash ? new HashMap<KeyBefore, Before>(1000, "t_table") : new LruHashMap<KeyBefore, Before>(1000, "t_table"), MapMigration.Live))
        {
            for (var i = 0u; i < 600; i++)
            {
                Set(before.Map, new KeyBefore { Address = i, Port = (ushort)(i + 1), Zone = 7 }, new Before { Packets = i, Balance = -(int)i, Forgotten = 5 });
            }
        }

        using var after = Start(kind == MapKind.Hash ? new HashMap<Key, After>(2000, "t_table") : new LruHashMap<Key, After>(2000, "t_table"), MapMigration.Live);
        var map = (ValueMap<Key, After>)after.Map;
        var seen = 0;
        map.ReadAll((key, value) =>
        {
            seen++;
            Assert.Equal((0ul, key.Address + 1, (ushort)7), (key.Tenant, key.Port, key.Zone));
            Assert.Equal((-(long)key.Address, key.Address, 0ul), (value.Balance, value.Packets, value.Since));
        });
        Assert.Equal(600, seen);
        Assert.Contains(after.Datapath.Notices, n => n.Contains("map 't_table' holds 2000 instead of 1000", StringComparison.Ordinal)
            && n.Contains("Forgotten is gone", StringComparison.Ordinal) && n.Contains("600 entries were carried over", StringComparison.Ordinal));
    }

    [KernelFact]
    public void Values_of_all_CPUs_elements_of_arrays_and_variables_survive_too()
    {
        using (var before = new KernelDatapath(Options))
        {
            var (counters, array, variable) = (new PerCpuArrayMap<Before>(4, "t_counters"), new ArrayMap<Before>(4, "t_array"), new Global<Before>("t_global"));
            before.Open([counters, array, variable], _ => MapMigration.Kept);
            counters.Set(3, new Before { Packets = 9, Balance = -1 });
            array.Set(2, new Before { Packets = 11 });
            variable.Value.Balance = int.MinValue;
        }

        using var after = new KernelDatapath(Options);
        var (manyCounters, longArray, wide) = (new PerCpuArrayMap<After>(8, "t_counters"), new ArrayMap<After>(8, "t_array", MapFlags.Mmapable), new Global<After>("t_global"));
        after.Open([manyCounters, longArray, wide], _ => MapMigration.Kept);
        Assert.True(manyCounters.TryGet(3, out var perCpu));
        Assert.All(perCpu, v => Assert.Equal((9ul, -1L), (v.Packets, v.Balance)));
        Assert.Equal(11ul, longArray.Entries[2].Packets);
        Assert.Equal(int.MinValue, wide.Value.Balance);
    }

    [KernelFact]
    public void Prefixes_survive_in_a_trie_of_another_size_and_a_ring_of_events_begins_empty()
    {
        using (var before = new KernelDatapath(Options))
        {
            var (trie, events) = (new LpmTrie<Prefix, uint>(64, "t_trie"), new RingBuffer<uint>(4096, "t_events"));
            before.Open([trie, events], _ => MapMigration.Kept with { MayLose = true });
            trie.Set(new Prefix { Length = 8, Address = 10 }, 1);
            trie.Set(new Prefix { Length = 32, Address = 0x0100000A }, 2);
        }

        using var after = new KernelDatapath(Options);
        var (large, longer) = (new LpmTrie<Prefix, uint>(128, "t_trie"), new RingBuffer<uint>(8192, "t_events"));
        after.Open([large, longer], m => m == longer ? MapMigration.Scratch : MapMigration.Kept);
        Assert.True(large.TryGet(new Prefix { Length = 32, Address = 0x0500000A }, out var wide));
        Assert.True(large.TryGet(new Prefix { Length = 32, Address = 0x0100000A }, out var narrow));
        Assert.Equal((1u, 2u), (wide, narrow));
    }

    [KernelFact]
    public void A_table_that_cannot_hold_what_is_in_it_is_refused_with_the_number_and_everything_stays()
    {
        using (var before = Start(new HashMap<uint, uint>(100, "t_table"), MapMigration.Kept))
        {
            Fill(before.Map, 60);
        }

        var pins = Pins();
        using (var datapath = new KernelDatapath(Options))
        {
            var (fresh, small) = (new ArrayMap<uint>(4, "t_new"), new HashMap<uint, uint>(50, "t_table"));
            var refusal = Assert.Throws<LayoutException>(() => datapath.Open([fresh, small], _ => MapMigration.Kept));
            Assert.Contains("10 of its entries find no room among 50 (100 so far)", refusal.Message, StringComparison.Ordinal);
            Assert.Contains("TableSizes", refusal.Message, StringComparison.Ordinal);
            Assert.False(fresh.IsBound || small.IsBound);

            // A rehearsal says the same, and leaves nothing behind whatever it finds.
            Assert.Equal(refusal.Message, Assert.Throws<LayoutException>(() => datapath.Rehearse([fresh, small], _ => MapMigration.Kept)).Message);
            var enough = new HashMap<uint, uint>(60, "t_table");
            datapath.Rehearse([fresh, enough], _ => MapMigration.Kept);
            Assert.False(fresh.IsBound || small.IsBound || enough.IsBound);
            Assert.Empty(datapath.Maps);
        }

        Assert.Equal(pins, Pins());
        using var same = Start(new HashMap<uint, uint>(100, "t_table"), MapMigration.Kept);
        Assert.Equal(60, Count(same.Map));
    }

    [KernelFact]
    public void What_shares_nothing_with_what_is_pinned_is_refused_unless_it_may_be_lost_or_is_asked_to_be()
    {
        using (var before = Start(new HashMap<uint, uint>(100, "t_table"), MapMigration.Kept))
        {
            Fill(before.Map, 3);
        }

        var refusal = Assert.Throws<LayoutException>(() => Start(new HashMap<uint, Before>(100, "t_table"), MapMigration.Kept));
        Assert.Contains("nothing in common", refusal.Message, StringComparison.Ordinal);
        Assert.Contains("--recreate", refusal.Message, StringComparison.Ordinal);
        Assert.Contains("it is a Hash and would become a Array", Assert.Throws<LayoutException>(() => Start(new ArrayMap<uint>(100, "t_table"), MapMigration.Kept)).Message, StringComparison.Ordinal);
        using (var recreated = Start(new HashMap<uint, Before>(100, "t_table"), MapMigration.Kept, Options with { Recreate = true }))
        {
            Assert.Contains(recreated.Datapath.Notices, n => n.Contains("was recreated empty", StringComparison.Ordinal));
            Assert.Equal(0, Count(recreated.Map));
        }

        using var other = Start(new ArrayMap<uint>(100, "t_table"), MapMigration.Rebuilt);
        Assert.Contains(other.Datapath.Notices, n => n.Contains("begins empty", StringComparison.Ordinal));
    }

    [KernelFact]
    public void A_cache_keeps_what_fits_and_numbers_that_have_no_place_any_more_are_left_out()
    {
        using (var before = Start(new HashMap<uint, ulong>(100, "t_table"), MapMigration.Cache))
        {
            for (var i = 0u; i < 100; i++)
            {
                ((HashMap<uint, ulong>)before.Map).Set(i, i < 90 ? 1 : ulong.MaxValue);
            }
        }

        using var after = Start(new HashMap<uint, ushort>(50, "t_table"), MapMigration.Cache);
        Assert.Equal(50, Count(after.Map));
        Assert.Contains(after.Datapath.Notices, n => n.Contains("50 entries were carried over, 40 found no room, 10 are of no meaning any more", StringComparison.Ordinal));
    }

    [KernelFact]
    public void Programs_go_on_with_the_old_table_until_they_are_exchanged_and_what_they_add_is_carried_after()
    {
        using var path = new UdpPath();
        var hook = new Hook(HookKind.Xdp, "right", path.RightInterface);
        path.Right.Run(() =>
        {
            using (var before = Start(new HashMap<uint, uint>(64, "t_table"), MapMigration.Live))
            {
                before.Datapath.Attach(hook, new Noting((HashMap<uint, uint>)before.Map, 1));
                before.Datapath.Settle();
                path.SendAndReceive(1);
            }

            using var after = Start(new HashMap<uint, uint>(128, "t_table"), MapMigration.Live);
            var table = (HashMap<uint, uint>)after.Map;
            Assert.Equal(1, Count(table));
            path.SendAndReceive(2);
            Assert.False(table.TryGet(2, out _));
            after.Datapath.Settle();
            Assert.Equal(["next", "maps"], Holding(after.Id, "t_table"));
            using (var old = KernelMapStorage.OpenPinned(Pins().Single(p => p.Contains("/maps/t_table", StringComparison.Ordinal))))
            {
                Assert.Equal(0, old.Remove(BitConverter.GetBytes(1u)));
            }

            var program = new Noting(table, 2);
            after.Datapath.Prepare([program]);
            Assert.True(table.TryGet(2, out var by) && by == 1);
            Assert.False(table.TryGet(1, out _));
            table.Set(99, 99);
            path.SendAndReceive(3);
            after.Datapath.Attach(hook, program);
            path.SendAndReceive(4);
            after.Datapath.Settle();
            Assert.Equal([(2u, 1u), (3u, 1u), (4u, 2u), (99u, 99u)], Entries(table));
            Assert.Equal(["maps"], Holding(after.Id, "t_table"));
            after.Datapath.RemoveAll();
        });
    }

    [KernelTheory]
    [InlineData(false)]
    [InlineData(true)]
    public void An_agent_that_dies_on_the_way_leaves_the_table_that_programs_use(bool exchanged)
    {
        using var path = new UdpPath();
        var hook = new Hook(HookKind.Xdp, "right", path.RightInterface);
        path.Right.Run(() =>
        {
            using (var first = Start(new HashMap<uint, uint>(64, "t_table"), MapMigration.Live))
            {
                first.Datapath.Attach(hook, new Noting((HashMap<uint, uint>)first.Map, 1));
                path.SendAndReceive(1);
            }

            using (var second = Start(new HashMap<uint, uint>(128, "t_table"), MapMigration.Live))
            {
                if (exchanged)
                {
                    second.Datapath.Attach(hook, new Noting((HashMap<uint, uint>)second.Map, 2));
                }
            }

            path.SendAndReceive(2);
            using var third = Start(new HashMap<uint, uint>(128, "t_table"), MapMigration.Live);
            var table = (HashMap<uint, uint>)third.Map;
            Assert.Equal([(1u, 1u), (2u, exchanged ? 2u : 1u)], Entries(table));
            third.Datapath.Attach(hook, new Noting(table, 3));
            path.SendAndReceive(3);
            third.Datapath.Settle();
            Assert.Equal([(1u, 1u), (2u, exchanged ? 2u : 1u), (3u, 3u)], Entries(table));
            Assert.Equal(["maps"], Holding(third.Id, "t_table"));
            third.Datapath.RemoveAll();
        });
    }

    [KernelFact]
    public void A_running_agent_changes_sizes_back_and_forth_and_lets_the_old_tables_go()
    {
        using var datapath = new KernelDatapath(Options);
        HashMap<uint, uint>? map = null;
        foreach (var size in (uint[])[64, 128, 256, 64])
        {
            var before = map;
            map = new HashMap<uint, uint>(size, "t_table");
            datapath.Open([map], _ => MapMigration.Live);
            map.Set(size, size);
            Assert.Equal([map], datapath.Maps);
            datapath.Settle();
            Assert.True(before is null || before.IsBound);
            datapath.Settle();
            Assert.False(before is { IsBound: true });
        }

        Assert.Equal([64u, 128u, 256u], Entries(map!).Select(e => e.Key));
        Assert.Equal(["maps"], Holding(((KernelMapStorage)map!.Storage).Id, "t_table"));
    }

    private struct Prefix
    {
        public uint Length;
        public uint Address;
    }

    private KernelDatapathOptions Options => new(_pins.Path("skep"));

    private Opened Start(BpfMap map, MapMigration rule, KernelDatapathOptions? options = null)
    {
        var datapath = new KernelDatapath(options ?? Options);
        try
        {
            datapath.Open([map], _ => rule);
        }
        catch
        {
            datapath.Dispose();
            throw;
        }

        if (datapath.Attached.Count == 0)
        {
            datapath.Settle();
        }

        return new(datapath, map);
    }

    private string[] Pins() => [.. Directory.GetFiles(_pins.Path("skep"), "*", SearchOption.AllDirectories).Order()];

    // Directories in which the map of that number, or another of that name, is pinned: last the one with that number.
    private string[] Holding(uint id, string name) =>
    [
        .. Pins().Where(p => Path.GetFileName(p).StartsWith(name, StringComparison.Ordinal))
            .OrderBy(p => { using var storage = KernelMapStorage.OpenPinned(p); return storage.Id == id ? 0 : 1; })
            .Select(p => Path.GetFileName(Path.GetDirectoryName(p)!)),
    ];

    private static void Set<TKey, TValue>(BpfMap map, TKey key, TValue value)
        where TKey : unmanaged
        where TValue : unmanaged => ((ValueMap<TKey, TValue>)map).Set(in key, in value);

    private static void Fill(BpfMap map, uint count)
    {
        for (var i = 0u; i < count; i++)
        {
            Set(map, i, i);
        }
    }

    private static int Count(BpfMap map)
    {
        var (count, key) = (0, new byte[map.KeySize]);
        for (byte[] last = []; map.Storage.NextKey(last, key) == 0; last = [.. key])
        {
            count++;
        }

        return count;
    }

    private static (uint Key, uint Value)[] Entries(HashMap<uint, uint> map)
    {
        var entries = new List<(uint, uint)>();
        map.ReadAll((key, value) => entries.Add((key, value)));
        return [.. entries.Order()];
    }

    private sealed record Opened(KernelDatapath Datapath, BpfMap Map) : IDisposable
    {
        public uint Id => ((KernelMapStorage)Map.Storage).Id;

        public void Dispose() => Datapath.Dispose();
    }

    /// <summary>Notes the first byte of every datagram of one byte, and who saw it.</summary>
    private sealed unsafe class Noting(HashMap<uint, uint> table, uint version) : XdpProgram
    {
        private const int Payload = 14 + 20 + 8;

        private readonly HashMap<uint, uint> _table = table;
        private readonly uint _version = version;

        public override string Name => string.Create(CultureInfo.InvariantCulture, $"noting{_version}");

        public override XdpAction Run(ref XdpContext context)
        {
            var start = context.Data;
            var end = context.DataEnd;
            if (start + Payload + 1 <= end && start[12] == 8 && start[13] == 0 && start[14 + 9] == 17 && start[Payload - 3] == 9)
            {
                uint key = start[Payload];
                if (key != 0)
                {
                    ref var known = ref _table.Find(key);
                    if (Unsafe.IsNullRef(ref known))
                    {
                        _table.Update(key, _version, UpdateMode.Any);
                    }
                }
            }

            return XdpAction.Pass;
        }
    }
}
