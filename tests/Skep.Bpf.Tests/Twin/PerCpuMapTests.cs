using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Twin;

namespace Skep.Bpf.Tests.TwinTests;

public sealed class PerCpuMapTests : IDisposable
{
    private readonly TwinEngine _twin = new(new TwinOptions { Cpus = 3 });

    public void Dispose() => _twin.Dispose();

    private record struct Odd(uint A, ushort B, byte C);

    [Fact]
    public void Each_CPU_has_its_own_value()
    {
        var map = new PerCpuArrayMap<Odd>(2).BoundTo(_twin);
        for (var cpu = 0u; cpu < 3; cpu++)
        {
            _twin.Environment.CurrentCpu = cpu;
            map.Find(1) = new Odd(cpu + 1, 2, 3);
        }

        Assert.True(map.TryGet(1, out var values));
        Assert.Equal([new Odd(1, 2, 3), new Odd(2, 2, 3), new Odd(3, 2, 3)], values);
        Assert.True(map.TryGet(0, out values));
        Assert.Equal(3, values.Length);
        Assert.All(values, v => Assert.Equal(default, v));
    }

    [Fact]
    public void An_entry_made_by_a_program_is_zero_on_the_other_CPUs_even_in_reused_memory()
    {
        var map = new PerCpuHashMap<uint, ulong>(1).BoundTo(_twin);
        map.Set(1, 99);
        Assert.Equal(0, map.Delete(1));
        _twin.Environment.CurrentCpu = 1;
        Assert.Equal(0, map.Update(2, 5, UpdateMode.Any));
        Assert.True(map.TryGet(2, out var values));
        Assert.Equal([0ul, 5ul, 0ul], values);
    }

    [Fact]
    public void A_program_replaces_the_value_of_its_CPU_only()
    {
        var map = new PerCpuHashMap<uint, ulong>(4).BoundTo(_twin);
        map.Set(1, 7);
        _twin.Environment.CurrentCpu = 2;
        ref var held = ref map.Find(1);
        Assert.Equal(0, map.Update(1, 8, UpdateMode.Exist));
        Assert.Equal(8ul, held);
        Assert.True(map.TryGet(1, out var values));
        Assert.Equal([7ul, 7ul, 8ul], values);
    }

    [Fact]
    public void Errors_are_those_of_the_kernel()
    {
        var map = new PerCpuHashMap<uint, ulong>(1).BoundTo(_twin);
        Assert.Equal(-Errno.NoEntry, map.Update(1, 1, UpdateMode.Exist));
        Assert.Equal(0, map.Update(1, 1, UpdateMode.NoExist));
        Assert.Equal(-Errno.Exists, map.Update(1, 1, UpdateMode.NoExist));
        Assert.Equal(-Errno.TooBig, map.Update(2, 1, UpdateMode.Any));
        Assert.Equal(Errno.TooBig, Assert.Throws<BpfException>(() => map.Set(2, 1)).ErrorNumber);
    }

    [Fact]
    public void The_LRU_kind_evicts()
    {
        var map = new LruPerCpuHashMap<uint, ulong>(2).BoundTo(_twin);
        map.Update(1, 1, UpdateMode.Any);
        map.Update(2, 2, UpdateMode.Any);
        Assert.False(Unsafe.IsNullRef(ref map.Find(1)));
        map.Update(3, 3, UpdateMode.Any);
        Assert.Equal([1u, 3u], map.Keys.Order());
    }

    [Fact]
    public void A_CPU_that_is_not_there_is_refused() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => _twin.Environment.CurrentCpu = 3);
}
