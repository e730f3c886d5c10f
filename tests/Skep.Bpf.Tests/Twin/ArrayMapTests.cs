using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Twin;

namespace Skep.Bpf.Tests.TwinTests;

public sealed class ArrayMapTests : IDisposable
{
    private readonly TwinEngine _twin = new();

    public void Dispose() => _twin.Dispose();

    [Fact]
    public void All_entries_exist_and_are_zero()
    {
        var map = new ArrayMap<uint>(3).BoundTo(_twin);
        Assert.Equal(0u, map.Find(2));
        Assert.True(Unsafe.IsNullRef(ref map.Find(3)));
        Assert.Equal([0u, 1u, 2u], map.Keys);
        Assert.Equal(3, map.ReadAll((_, v) => Assert.Equal(0u, v), 2));
    }

    [Fact]
    public void Errors_are_those_of_the_kernel()
    {
        var map = new ArrayMap<uint>(3).BoundTo(_twin);
        Assert.Equal(-Errno.Exists, map.Update(1, 1, UpdateMode.NoExist));
        Assert.Equal(-Errno.TooBig, map.Update(3, 1, UpdateMode.Any));
        Assert.Equal(-Errno.Invalid, map.Update(3, 1, (UpdateMode)3));
        Assert.Equal(-Errno.Invalid, map.Delete(1));
        Assert.Equal(0, map.Update(1, 1, UpdateMode.Exist));
        Assert.False(map.TryGet(3, out _));
        Assert.Equal(Errno.Invalid, Assert.Throws<BpfException>(() => map.Remove(1)).ErrorNumber);
    }

    [Fact]
    public void An_update_writes_in_place()
    {
        var map = new ArrayMap<uint>(1).BoundTo(_twin);
        ref var held = ref map.Find(0);
        map.Set(0, 5);
        Assert.Equal(5u, held);
    }

    [Fact]
    public void A_global_is_one_variable_for_both_sides()
    {
        var global = new Global<ulong>().BoundTo(_twin);
        global.Value = 3;
        global.Value++;
        Assert.Equal(4ul, global.Value);
    }
}
