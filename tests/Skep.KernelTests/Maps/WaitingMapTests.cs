using Skep.Bpf;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Twin;
using Skep.KernelTests.Compiler;

namespace Skep.KernelTests.Maps;

/// <summary>Queues, stacks and bloom filters: kernel, twin and interpreter agree, and both sides see the same values.</summary>
public class WaitingMapTests
{
    public static TheoryData<bool, bool> Kinds => new() { { true, true }, { true, false }, { false, true }, { false, false } };

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

    [KernelTheory]
    [MemberData(nameof(Kinds))]
    public void Values_come_out_in_the_order_of_the_kind(bool kernel, bool stack)
    {
        using var twin = new TwinEngine();
        using WaitingMap<uint> map = stack ? new StackMap<uint>(3, "waiting") : new QueueMap<uint>(3, "waiting");
        Bind(map, kernel, twin);

        Assert.False(map.TryTake(out _));
        Assert.True(map.TryAdd(1) && map.TryAdd(2) && map.TryAdd(3));
        Assert.False(map.TryAdd(4));
        Assert.True(map.TryAdd(5, dropOldest: true));
        Assert.True(map.TryPeek(out var next));
        Assert.Equal(stack ? 5u : 2u, next);

        var taken = new List<uint>();
        while (map.TryTake(out var value))
        {
            taken.Add(value);
        }

        Assert.Equal(stack ? [5u, 3u, 2u] : [2u, 3u, 5u], taken);
        Assert.False(map.TryPeek(out _));
    }

    [KernelTheory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_bloom_filter_never_denies_what_was_added(bool kernel)
    {
        using var twin = new TwinEngine();
        using var filter = new BloomFilter<ulong>(1000, hashes: 5, "seen");
        Bind(filter, kernel, twin);
        for (var i = 0ul; i < 1000; i++)
        {
            filter.Add(i * 7919);
        }

        var wrong = 0;
        for (var i = 0ul; i < 1000; i++)
        {
            Assert.True(filter.Contains(i * 7919));
            wrong += filter.Contains((i * 7919) + 1) ? 1 : 0;
        }

        // Designed for two in a hundred; the bound is five times that.
        Assert.InRange(wrong, 0, 100);
    }

    [ProvesMap(MapKind.Queue, MapKind.Stack)]
    [KernelFact]
    public void Programs_push_pop_and_peek_alike_on_all_engines() =>
        Differential.Check(() => new Waiting(), RandomPackets.Make(200, 64), static p =>
        {
            var queue = Taken(p.Queue);
            var stack = Taken(p.Stack);

            // Put back as they were: the contents are compared twice.
            queue.ForEach(value => p.Queue.TryAdd(value));
            stack.AsEnumerable().Reverse().ToList().ForEach(value => p.Stack.TryAdd(value));
            return string.Join(' ', queue.Select(v => $"{v.A}/{v.B}")) + " | " + string.Join(' ', stack);
        });

    private static List<T> Taken<T>(WaitingMap<T> map)
        where T : unmanaged
    {
        var values = new List<T>();
        while (map.TryTake(out var value))
        {
            values.Add(value);
        }

        return values;
    }

    [ProvesMap(MapKind.BloomFilter)]
    [KernelFact]
    public void Programs_find_in_a_filter_what_they_or_the_process_added()
    {
        Differential.Check(() => new Known(), [new byte[60], [.. Enumerable.Repeat((byte)1, 60)], new byte[60]], static p => $"{p.Filter.Contains(0)} {p.Filter.Contains(0x01010101)}");
    }

    private struct Pair
    {
        public ushort A;
        public uint B;
    }

    private sealed class Waiting : XdpProgram
    {
        public QueueMap<Pair> Queue { get; } = new(8);

        public StackMap<ulong> Stack { get; } = new(8);

        public override unsafe XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 16 > context.DataEnd)
            {
                return XdpAction.Aborted;
            }

            var status = 0;
            var what = data[0];
            if ((what & 1) != 0)
            {
                status += Queue.Push(new Pair { A = data[1], B = data[2] }, (what & 2) != 0 ? UpdateMode.Exist : UpdateMode.Any);
            }

            if ((what & 4) != 0)
            {
                status += Queue.Pop(out var first) * 2;
                status += (int)first.B;
            }

            if ((what & 8) != 0)
            {
                status += Stack.Push(data[3], UpdateMode.Any) * 3;
            }

            if ((what & 0x30) == 0x30)
            {
                status += Stack.Peek(out var top) * 5;
                status += Stack.Pop(out var popped) * 7;
                status += (int)(top + popped);
            }

            data[8] = (byte)status;
            return XdpAction.Pass;
        }
    }

    private sealed class Known : XdpProgram
    {
        public BloomFilter<uint> Filter { get; } = new(100_000);

        public override unsafe XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 4 > context.DataEnd)
            {
                return XdpAction.Aborted;
            }

            var value = *(uint*)data;
            var known = Filter.MayContain(value);
            Filter.Push(value, UpdateMode.Any);
            return known ? XdpAction.Drop : XdpAction.Pass;
        }
    }
}
