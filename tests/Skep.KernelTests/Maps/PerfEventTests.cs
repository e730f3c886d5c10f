using System.Runtime.InteropServices;
using Skep.Bpf;
using Skep.Bpf.Buffers;
using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;
using Skep.KernelTests.Surroundings;

namespace Skep.KernelTests.Maps;

public class PerfEventTests
{
    [ProvesMap(MapKind.PerfEventArray)]
    [KernelTheory]
    [InlineData(true)]
    [InlineData(false)]
    public void Events_come_as_they_were_written(bool kernel)
    {
        using var twin = new TwinEngine();
        using var run = new Run(kernel, twin);

        Assert.Equal(-Errno.NoEntry, run.Packet(1, 1));
        using var reader = new PerfEventReader<Event>(run.Program.Events);
        for (var i = 0; i < 300; i++)
        {
            Assert.Equal(0, run.Packet((byte)i, (byte)(i >> 8)));
        }

        var seen = new List<Event>();
        Assert.Equal(300, reader.Drain((in Event e) => seen.Add(e)));
        Assert.Equal(Enumerable.Range(0, 300).Select(i => new Event((byte)i, (byte)(i >> 8), 64)), seen.OrderBy(e => e.Second).ThenBy(e => e.First));
        Assert.Equal(0ul, reader.Lost);
        Assert.Equal(0, reader.Drain((in Event _) => { }));
    }

    [KernelTheory]
    [InlineData(true)]
    [InlineData(false)]
    public void What_does_not_fit_is_counted_on_both_sides(bool kernel)
    {
        using var twin = new TwinEngine();
        using var run = new Run(kernel, twin);
        // The next event tells of the losses of its own CPU.
        using var staying = ThisThread.OnOneCpu();
        using var reader = new PerfEventReader<Event>(run.Program.Events, pagesPerCpu: 1);
        var (read, refused) = (0, 0);
        for (var round = 0; round < 3; round++)
        {
            for (var i = 0; i < 1000; i++)
            {
                refused += run.Packet(1, 2) == -Errno.NoSpace ? 1 : 0;
            }

            read += reader.Drain((in Event e) => Assert.Equal(64u, e.Length));
        }

        // The kernel tells of losses with the next event that fits.
        Assert.Equal(0, run.Packet(1, 2));
        read += reader.Drain((in Event _) => { });
        Assert.True(refused > 0);
        Assert.Equal(3001, read + refused);
        Assert.Equal((ulong)refused, reader.Lost);
        Assert.Equal(read, reader.Records);
    }

    [KernelFact]
    public async Task A_waiting_reader_wakes_up()
    {
        using var run = new Run(kernel: true, new TwinEngine());
        using var reader = new PerfEventReader<Event>(run.Program.Events);
        var waiting = reader.WaitAsync(TestContext.Current.CancellationToken).AsTask();
        Assert.False(waiting.IsCompleted);

        run.Packet(9, 9);

        await waiting.WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
        Assert.Equal(1, reader.Drain((in Event e) => Assert.Equal(9, e.First)));
    }

    [KernelFact]
    public void Reading_allocates_nothing_per_event()
    {
        using var run = new Run(kernel: true, new TwinEngine());
        using var reader = new PerfEventReader<Event>(run.Program.Events);
        var sum = 0L;
        RecordVisitor<Event> visit = (in Event e) => sum += e.Length;
        long allocated = 0;
        for (var round = 0; round < 3; round++)
        {
            run.Packets(2000);
            var before = GC.GetAllocatedBytesForCurrentThread();
            reader.Drain(visit);
            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        }

        Assert.Equal(0, allocated);
        Assert.Equal(6000 * 64, sum);
    }

    [StructLayout(LayoutKind.Sequential)]
    private readonly record struct Event(byte First, byte Second, uint Length);

    private sealed class Emitter : XdpProgram
    {
        public PerfEventArray<Event> Events { get; } = new();

        public override unsafe XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 8 > context.DataEnd)
            {
                return XdpAction.Aborted;
            }

            var record = new Event(data[0], data[1], (uint)(context.DataEnd - data));
            var status = Events.Output(ref context, in record);
            data[4] = (byte)-status;
            return XdpAction.Pass;
        }
    }

    private sealed class Run : IDisposable
    {
        private readonly TwinEngine? _twin;
        private readonly LoadedProgram? _loaded;

        public Run(bool kernel, TwinEngine twin)
        {
            if (kernel)
            {
                _loaded = ProgramLoader.Load(ProgramCompiler.Compile(Program));
            }
            else
            {
                _twin = twin;
                twin.Bind(Program);
            }
        }

        public Emitter Program { get; } = new();

        /// <summary>What the output gave.</summary>
        public int Packet(byte first, byte second)
        {
            var packet = new byte[64];
            (packet[0], packet[1]) = (first, second);
            return -(_loaded is not null ? _loaded.TestRun(packet).Output : _twin!.Run(Program, packet).Packet)[4];
        }

        public void Packets(int count) => _loaded!.TestRun(new byte[64], new TestRunOptions { Repeat = count });

        public void Dispose()
        {
            _loaded?.Dispose();
            Program.Events.Dispose();
        }
    }
}
