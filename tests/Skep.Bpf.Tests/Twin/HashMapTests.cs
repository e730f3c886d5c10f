using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Twin;

namespace Skep.Bpf.Tests.TwinTests;

public sealed class HashMapTests : IDisposable
{
    private readonly TwinEngine _twin = new();

    [StructLayout(LayoutKind.Sequential, Pack = 1)]
    private record struct Key3(byte A, byte B, byte C);

    private record struct Key20(uint A, uint B, uint C, uint D, uint E);

    public void Dispose() => _twin.Dispose();

    [Fact]
    public void What_was_set_is_found_on_both_sides()
    {
        var map = new HashMap<uint, ulong>(8).BoundTo(_twin);
        Assert.Equal(0, map.Update(7, 70, UpdateMode.Any));
        map.Set(8, 80);

        Assert.Equal(70ul, map.Find(7));
        Assert.Equal(80ul, map.Find(8));
        Assert.True(map.TryGet(7, out var value));
        Assert.Equal(70ul, value);
        Assert.True(Unsafe.IsNullRef(ref map.Find(9)));
        Assert.False(map.TryGet(9, out _));
    }

    [Fact]
    public void Errors_are_those_of_the_kernel()
    {
        var map = new HashMap<uint, ulong>(2).BoundTo(_twin);
        Assert.Equal(-Errno.NoEntry, map.Update(1, 1, UpdateMode.Exist));
        Assert.Equal(0, map.Update(1, 1, UpdateMode.NoExist));
        Assert.Equal(-Errno.Exists, map.Update(1, 2, UpdateMode.NoExist));
        Assert.Equal(0, map.Update(1, 3, UpdateMode.Exist));
        Assert.Equal(-Errno.Invalid, map.Update(1, 3, (UpdateMode)3));
        Assert.Equal(0, map.Update(2, 2, UpdateMode.Any));
        Assert.Equal(-Errno.TooBig, map.Update(3, 3, UpdateMode.Any));
        Assert.Equal(0, map.Update(2, 4, UpdateMode.Any));
        Assert.Equal(-Errno.TooBig, map.TrySet(3, 3));
        Assert.Equal(0, map.Delete(1));
        Assert.Equal(-Errno.NoEntry, map.Delete(1));
        Assert.Equal(0, map.Update(3, 3, UpdateMode.Any));
        Assert.False(map.Remove(1));
    }

    [Fact]
    public void A_full_map_says_so_with_its_name_and_size()
    {
        var map = new HashMap<uint, uint>(1, "clients").BoundTo(_twin);
        map.Set(1, 1);
        var refused = Assert.Throws<BpfException>(() => map.Set(2, 2));
        Assert.Equal(Errno.TooBig, refused.ErrorNumber);
        Assert.Contains("clients", refused.Message);
        Assert.Contains("full at 1", refused.Message);
    }

    [Fact]
    public void A_reference_writes_through()
    {
        var map = new HashMap<ulong, uint>(4).BoundTo(_twin);
        map.Set(5, 1);
        map.Find(5)++;
        Assert.True(map.TryGet(5, out var value));
        Assert.Equal(2u, value);
    }

    [Fact]
    public void A_reference_held_over_a_replacement_keeps_the_old_value()
    {
        var map = new HashMap<uint, uint>(1).BoundTo(_twin);
        map.Set(1, 10);
        ref var held = ref map.Find(1);
        map.Update(1, 20, UpdateMode.Any);
        Assert.Equal(10u, held);
        Assert.Equal(20u, map.Find(1));
    }

    [Fact]
    public void A_reference_stays_valid_memory_after_delete_and_dispose()
    {
        var map = new HashMap<uint, uint>(4).BoundTo(_twin);
        map.Set(1, 10);
        ref var held = ref map.Find(1);
        map.Delete(1);
        map.Dispose();
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        Assert.Equal(10u, held);
        held = 11;
        Assert.Throws<InvalidOperationException>(() => map.TryGet(1, out _));
    }

    [Fact]
    public void Storage_refuses_work_after_dispose()
    {
        var map = new HashMap<uint, uint>(4).BoundTo(_twin);
        var storage = map.Storage;
        map.Dispose();
        Assert.Throws<ObjectDisposedException>(() => storage.Remove(new byte[4]));
        Assert.Throws<ObjectDisposedException>(() => Find(storage));

        static unsafe void Find(MapStorage storage)
        {
            uint key = 1;
            storage.Find((byte*)&key);
        }
    }

    [Fact]
    public void Keys_are_listed_once_and_deleting_while_listing_is_fine()
    {
        var map = new HashMap<uint, uint>(100).BoundTo(_twin);
        for (var i = 0u; i < 100; i++)
        {
            map.Set(i, i);
        }

        var seen = new HashSet<uint>();
        var storage = map.Storage;
        var key = new byte[4];
        var status = storage.NextKey(default, key);
        while (status == 0)
        {
            Assert.True(seen.Add(BitConverter.ToUInt32(key)));
            var current = key.ToArray();
            status = storage.NextKey(current, key);
            Assert.Equal(0, storage.Remove(current));
        }

        Assert.Equal(-Errno.NoEntry, status);
        Assert.Equal(100, seen.Count);
        Assert.Empty(map.Keys);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(64)]
    public void Batches_give_every_entry_once(int batch)
    {
        var map = new HashMap<Key20, ulong>(64).BoundTo(_twin);
        for (var i = 0u; i < 64; i++)
        {
            map.Set(new Key20(i, 1, 2, 3, i * 7), i);
        }

        var seen = new Dictionary<Key20, ulong>();
        Assert.Equal(64, map.ReadAll((k, v) => seen.Add(k, v), batch));
        Assert.All(seen, e => Assert.Equal(e.Key.A, e.Value));
    }

    [Fact]
    public void It_agrees_with_a_dictionary_for_every_key_shape()
    {
        Agree(new HashMap<uint, ulong>(50).BoundTo(_twin), i => i);
        Agree(new HashMap<ulong, ulong>(50).BoundTo(_twin), i => i * 0x1_0000_0001ul);
        Agree(new HashMap<UInt128, ulong>(50).BoundTo(_twin), i => new UInt128(i, i ^ 5));
        Agree(new HashMap<Key20, ulong>(50).BoundTo(_twin), i => new Key20(0, 0, i, 0, 1));
        Agree(new HashMap<Key3, ulong>(50).BoundTo(_twin), i => new Key3((byte)i, 0, (byte)~i));
        Agree(new HashMap<ushort, ulong>(50).BoundTo(_twin), i => (ushort)i);
    }

    private static void Agree<TKey>(HashMap<TKey, ulong> map, Func<uint, TKey> keyOf)
        where TKey : unmanaged
    {
        var model = new Dictionary<TKey, ulong>();
        var random = new Random(17);
        for (var step = 0; step < 20_000; step++)
        {
            var key = keyOf((uint)random.Next(80));
            var value = (ulong)random.NextInt64();
            switch (random.Next(4))
            {
                case 0:
                    Assert.Equal(model.Remove(key) ? 0 : -Errno.NoEntry, map.Delete(key));
                    break;
                case 1:
                    var found = model.TryGetValue(key, out var expected);
                    ref var live = ref map.Find(key);
                    Assert.Equal(found, !Unsafe.IsNullRef(ref live));
                    if (found)
                    {
                        Assert.Equal(expected, live);
                        live = model[key] = value;
                    }

                    break;
                default:
                    var status = map.Update(key, value, UpdateMode.Any);
                    Assert.Equal(!model.ContainsKey(key) && model.Count == 50 ? -Errno.TooBig : 0, status);
                    if (status == 0)
                    {
                        model[key] = value;
                    }

                    break;
            }
        }

        Assert.Equal(model.Keys.ToHashSet(), map.Keys.ToHashSet());
    }
}
