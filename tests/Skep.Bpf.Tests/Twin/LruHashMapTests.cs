using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Twin;

namespace Skep.Bpf.Tests.TwinTests;

public sealed class LruHashMapTests : IDisposable
{
    private readonly TwinEngine _twin = new();

    public void Dispose() => _twin.Dispose();

    [Fact]
    public void The_least_recently_used_entry_makes_room()
    {
        var map = new LruHashMap<uint, uint>(3).BoundTo(_twin);
        map.Set(1, 1);
        map.Set(2, 2);
        map.Set(3, 3);
        Assert.Equal(1u, map.Find(1));
        Assert.Equal(0, map.Update(4, 4, UpdateMode.NoExist));
        Assert.Equal([1u, 3u, 4u], map.Keys.Order());
    }

    [Fact]
    public void A_look_from_the_user_side_is_no_use()
    {
        var map = new LruHashMap<uint, uint>(2).BoundTo(_twin);
        map.Set(1, 1);
        map.Set(2, 2);
        Assert.True(map.TryGet(1, out _));
        map.Set(3, 3);
        Assert.Equal([2u, 3u], map.Keys.Order());
    }

    [Fact]
    public void A_replacement_counts_as_use_and_evicts_nothing()
    {
        var map = new LruHashMap<uint, uint>(2).BoundTo(_twin);
        map.Set(1, 1);
        map.Set(2, 2);
        map.Set(1, 10);
        Assert.Equal([1u, 2u], map.Keys.Order());
        map.Set(3, 3);
        Assert.Equal([1u, 3u], map.Keys.Order());
    }

    [Fact]
    public void It_agrees_with_a_list_in_order_of_use()
    {
        var map = new LruHashMap<ulong, uint>(20).BoundTo(_twin);
        var order = new List<ulong>();
        var random = new Random(3);
        for (var step = 0; step < 20_000; step++)
        {
            var key = (ulong)random.Next(30);
            switch (random.Next(3))
            {
                case 0:
                    var known = !Unsafe.IsNullRef(ref map.Find(key));
                    Assert.Equal(order.Remove(key), known);
                    if (known)
                    {
                        order.Add(key);
                    }

                    break;
                case 1 when step % 5 == 0:
                    Assert.Equal(order.Remove(key) ? 0 : -Errno.NoEntry, map.Delete(key));
                    break;
                default:
                    Assert.Equal(0, map.Update(key, 1, UpdateMode.Any));
                    if (!order.Remove(key) && order.Count == 20)
                    {
                        order.RemoveAt(0);
                    }

                    order.Add(key);
                    break;
            }
        }

        Assert.Equal(order.Order(), map.Keys.Order());
    }
}
