using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Twin;

namespace Skep.Bpf.Tests.TwinTests;

public sealed class TwinEngineTests : IDisposable
{
    private readonly TwinEngine _twin = new();

    public void Dispose() => _twin.Dispose();

    private sealed unsafe class Counter : XdpProgram
    {
        private readonly HashMap<uint, ulong> _packets = new(16);
        private readonly Global<ulong> _last = new();

        public HashMap<uint, ulong> Packets => _packets;

        public Global<ulong> Last => _last;

        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 14 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            uint type = *(ushort*)(data + 12);
            ref var count = ref _packets.Find(in type);
            if (Unsafe.IsNullRef(ref count))
            {
                _packets.Update(in type, 1, UpdateMode.NoExist);
            }
            else
            {
                count++;
            }

            _last.Value = Helper.KtimeGetNs();
            return XdpAction.Pass;
        }
    }

    private sealed unsafe class Encapsulate(int head, int tail) : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context)
        {
            if (context.AdjustHead(head) != 0 || context.AdjustTail(tail) != 0)
            {
                return XdpAction.Aborted;
            }

            if (context.Data + 1 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            return context.IngressInterface == 1 ? XdpAction.Tx : XdpAction.Pass;
        }
    }

    private sealed class Marker : TcProgram
    {
        public override TcAction Run(ref TcContext context)
        {
            context.Mark += context.Interface;
            return context.Length > 60 ? TcAction.Shot : TcAction.Ok;
        }
    }

    private sealed class Thrower : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context) => throw new DivideByZeroException();
    }

    [Fact]
    public void Maps_fill_and_the_clock_is_the_one_that_was_set()
    {
        var program = new Counter();
        var packet = new byte[60];
        packet[12] = 8;
        _twin.Environment.KtimeNow = 5;
        Assert.Equal(XdpAction.Pass, _twin.Run(program, packet).Action);
        _twin.Environment.Advance(TimeSpan.FromMicroseconds(1));
        Assert.Equal(XdpAction.Pass, _twin.Run(program, packet).Action);
        Assert.Equal(XdpAction.Drop, _twin.Run(program, packet.AsSpan(0, 13)).Action);
        Assert.True(program.Packets.TryGet(8, out var count));
        Assert.Equal(2ul, count);
        Assert.Equal(1005ul, program.Last.Value);
        Assert.Equal(["packets", "last"], _twin.Maps.Select(m => m.Name));
    }

    [Fact]
    public void A_packet_grows_and_shrinks_within_the_room_of_a_kernel_frame()
    {
        var packet = Enumerable.Range(1, 100).Select(i => (byte)i).ToArray();
        var grown = _twin.Run(new Encapsulate(-20, 4), packet);
        Assert.Equal(XdpAction.Tx, grown.Action);
        Assert.Equal(124, grown.Packet.Length);
        Assert.Equal(packet, grown.Packet[20..120].ToArray());
        Assert.Equal(new byte[20], grown.Packet[..20].ToArray());
        Assert.Equal(new byte[4], grown.Packet[120..].ToArray());

        var cut = _twin.Run(new Encapsulate(10, -10), packet, new XdpRunOptions(IngressInterface: 2));
        Assert.Equal(XdpAction.Pass, cut.Action);
        Assert.Equal(packet[10..90], cut.Packet.ToArray());

        Assert.Equal(XdpAction.Tx, _twin.Run(new Encapsulate(-216, 0), packet).Action);
        Assert.Equal(XdpAction.Aborted, _twin.Run(new Encapsulate(-217, 0), packet).Action);
        Assert.Equal(XdpAction.Tx, _twin.Run(new Encapsulate(0, 3420), packet).Action);
        Assert.Equal(XdpAction.Aborted, _twin.Run(new Encapsulate(0, 3421), packet).Action);
        Assert.Equal(XdpAction.Aborted, _twin.Run(new Encapsulate(87, 0), packet).Action);
    }

    [Fact]
    public void A_super_packet_is_processed_whole()
    {
        var packet = new byte[70_000];
        packet[^1] = 9;
        var result = _twin.Run(new Encapsulate(-8, 0), packet);
        Assert.Equal(70_008, result.Packet.Length);
        Assert.Equal(9, result.Packet[^1]);
        Assert.Equal(100, _twin.Run(new Encapsulate(0, 0), new byte[100]).Packet.Length);
    }

    [Fact]
    public void A_TC_program_sees_and_sets_the_mark()
    {
        var result = _twin.Run(new Marker(), new byte[60], new TcRunOptions(Interface: 3, Mark: 4));
        Assert.Equal(TcAction.Ok, result.Action);
        Assert.Equal(7u, result.Mark);
        Assert.Equal(TcAction.Shot, _twin.Run(new Marker(), new byte[61]).Action);
    }

    [Fact]
    public void The_environment_is_gone_after_a_program_that_throws()
    {
        Assert.Throws<DivideByZeroException>(() => _twin.Run(new Thrower(), new byte[14]).Action);
        Assert.Throws<InvalidOperationException>(() => Helper.KtimeGetNs());
    }

    [Fact]
    public void Programs_that_share_maps_run_under_one_twin()
    {
        var program = new Counter();
        _twin.Bind(program);
        using var other = new TwinEngine();
        var refused = Assert.Throws<InvalidOperationException>(() => other.Bind(program));
        Assert.Contains("another twin", refused.Message);
    }

    [Fact]
    public void A_program_may_move_to_another_twin_when_the_first_is_gone()
    {
        var program = new Counter();
        using (var first = new TwinEngine())
        {
            first.Run(program, new byte[14]);
        }

        Assert.False(program.Packets.IsBound);
        _twin.Run(program, new byte[14]);
        Assert.True(program.Packets.TryGet(0, out var count));
        Assert.Equal(1ul, count);
    }

    [Fact]
    public void The_same_seed_gives_the_same_chance()
    {
        using var again = new TwinEngine();
        using var other = new TwinEngine(new TwinOptions { Seed = 2 });
        var first = Enumerable.Range(0, 8).Select(_ => _twin.Environment.NextRandom()).ToArray();
        Assert.Equal(first, Enumerable.Range(0, 8).Select(_ => again.Environment.NextRandom()));
        Assert.NotEqual(first, Enumerable.Range(0, 8).Select(_ => other.Environment.NextRandom()));
    }

    [Fact]
    public void The_user_half_reads_the_clock_of_the_program()
    {
        var before = _twin.Environment.TimeProvider.GetTimestamp();
        _twin.Environment.Advance(TimeSpan.FromSeconds(3));
        Assert.Equal(TimeSpan.FromSeconds(3), _twin.Environment.TimeProvider.GetElapsedTime(before));
        Assert.Equal(4, _twin.Environment.TimeProvider.GetUtcNow().Second);
    }

    [Fact]
    public async Task Maps_may_be_read_and_written_while_packets_run()
    {
        const int Packets = 50_000;
        var program = new Counter();
        _twin.Bind(program);
        var running = Task.Run(() =>
        {
            var packet = new byte[60];
            for (var i = 0; i < Packets; i++)
            {
                packet[12] = (byte)(i & 7);
                _twin.Run(program, packet);
            }
        });
        var reads = 0;
        while (!running.IsCompleted || reads == 0)
        {
            Assert.InRange(program.Packets.ReadAll((_, _) => { }), 0, 9);
            program.Packets.TrySet(99, (ulong)reads++);
        }

        await running;
        program.Packets.Remove(99);
        var total = 0ul;
        program.Packets.ReadAll((_, count) => total += count);
        Assert.Equal((ulong)Packets, total);
    }

    [Fact]
    public void The_hot_path_allocates_nothing()
    {
        var program = new Counter();
        var packet = new byte[60];
        _twin.Run(program, packet);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++)
        {
            packet[12] = (byte)(i & 15);
            _twin.Run(program, packet);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }
}
