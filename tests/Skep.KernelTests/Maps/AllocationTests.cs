using Skep.Bpf.Asm;
using Skep.Bpf.Buffers;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using static Skep.Bpf.Asm.OpCodes;
using static Skep.Bpf.Asm.Register;

namespace Skep.KernelTests.Maps;

/// <summary>What is read again and again must not make work for the garbage collector.</summary>
public class AllocationTests
{
    private const int Entries = 4000;

    // A closure and what the pools rent at first, not a byte per entry.
    private const int PerCall = 4096;

    private static readonly byte[] s_packet = new byte[64];
    private static long s_sum;

    [KernelFact]
    public void Reading_a_map_allocates_nothing_per_entry()
    {
        using var map = Bound(new HashMap<uint, ulong>(Entries, "numbers"));
        using var perCpu = Bound(new PerCpuHashMap<uint, ulong>(Entries, "counts"));
        for (var i = 0u; i < Entries; i++)
        {
            map.Set(i, i);
            perCpu.Set(i, i);
        }

        var values = new ulong[perCpu.Storage.ValuesPerEntry];

        Assert.InRange(Allocated(() => map.ReadAll((_, value) => s_sum += (long)value)), 0, PerCall);
        Assert.InRange(Allocated(() => perCpu.ReadAll((in uint _, ReadOnlySpan<ulong> each) => s_sum += (long)each[0])), 0, PerCall);
        Assert.Equal(0, Allocated(() => ReadOneByOne(map, perCpu, values)));
        Assert.Equal(0, Allocated(() => WriteOneByOne(map)));
    }

    [KernelFact]
    public void Walking_in_batches_allocates_nothing_at_all()
    {
        using var map = Bound(new HashMap<uint, ulong>(Entries, "numbers"));
        using var perCpu = Bound(new PerCpuHashMap<uint, ulong>(Entries, "counts"));
        var keys = Enumerable.Range(0, Entries).Select(i => (uint)i).ToArray();
        var values = keys.Select(k => (ulong)k).ToArray();
        var cpuValues = keys.SelectMany(k => Enumerable.Repeat((ulong)k, perCpu.Storage.ValuesPerEntry)).ToArray();
        map.SetAll(keys, values);
        perCpu.SetAll(keys, cpuValues);
        using var batches = map.Batches();
        using var perCpuBatches = perCpu.Batches();
        using var takes = map.TakeBatches();
        using var perCpuTakes = perCpu.TakeBatches();

        Assert.Equal(0, Allocated(() => Walk(batches)));
        Assert.Equal(0, Allocated(() => Walk(perCpuBatches)));
        Assert.Equal(0, Allocated(() => map.SetAll(keys, values)));
        Assert.Equal(0, Allocated(() => perCpu.SetAll(keys, cpuValues)));
        Assert.Equal(0, Allocated(() => Walk(takes), () => map.SetAll(keys, values)));
        Assert.Equal(0, Allocated(() => Walk(perCpuTakes), () => perCpu.SetAll(keys, cpuValues)));
        Assert.Equal(0, Allocated(() => map.RemoveAll(keys), () => map.SetAll(keys, values)));
        Assert.Empty(map.Keys);
    }

    private static void Walk(ValueBatches<uint, ulong> batches)
    {
        batches.Restart();
        var count = 0;
        while (batches.Read())
        {
            foreach (var value in batches.Values)
            {
                s_sum += (long)value;
            }

            count += batches.Count;
        }

        Assert.True(count == Entries);
    }

    private static void Walk(PerCpuBatches<uint, ulong> batches)
    {
        batches.Restart();
        var count = 0;
        while (batches.Read())
        {
            for (var i = 0; i < batches.Count; i++)
            {
                s_sum += (long)batches.Values(i)[0];
            }

            count += batches.Count;
        }

        Assert.True(count == Entries);
    }

    [KernelFact]
    public void Reading_a_ring_buffer_allocates_nothing_per_record()
    {
        using var ring = new RingBuffer<ulong>(65536, "events");
        var code = new Assembler()
            .StoreImmediate(SizeDw, R10, -8, 1).LoadMap(R1, ring).MoveRegister(R2, R10).Alu(Add, R2, -8).Move(R3, 8).Move(R4, 0).Call(130).Exit();
        using var program = ProgramLoader.Load(code.Build("emit", ProgramType.Xdp));
        using var reader = new RingBufferReader<ulong>(ring);
        RecordVisitor<ulong> visit = (in ulong record) => s_sum += (long)record;

        Fill();
        Assert.Equal(0, Allocated(() => reader.Drain(visit), Fill));
        Assert.Equal(0, Allocated(
            () =>
            {
                while (reader.TryRead(out var record))
                {
                    s_sum += (long)record;
                }
            },
            Fill));
        Assert.True(reader.Records > 4000);

        void Fill() => program.TestRun(s_packet, new TestRunOptions { Repeat = 2000 });
    }

    private static void ReadOneByOne(HashMap<uint, ulong> map, PerCpuHashMap<uint, ulong> perCpu, ulong[] values)
    {
        for (var i = 0u; i < Entries; i++)
        {
            map.TryGet(i, out var value);
            perCpu.TryGet(i, values.AsSpan());
            s_sum += (long)(value + values[0]);
        }
    }

    private static void WriteOneByOne(HashMap<uint, ulong> map)
    {
        for (var i = 0u; i < Entries; i++)
        {
            map.Set(i, i + 1);
        }
    }

    private static T Bound<T>(T map)
        where T : BpfMap
    {
        map.Bind(KernelMapStorage.Create(map));
        return map;
    }

    /// <summary>
    /// Bytes that the action allocates when it does not run for the first time; the least of three runs, since a collection in between empties the pools.
    /// </summary>
    private static long Allocated(Action action, Action? before = null)
    {
        action();
        var least = long.MaxValue;
        for (var run = 0; run < 3; run++)
        {
            before?.Invoke();
            var start = GC.GetAllocatedBytesForCurrentThread();
            action();
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - start);
        }

        return least;
    }
}
