using System.Runtime.InteropServices;
using Skep.Bpf.Asm;
using Skep.Bpf.Buffers;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using Skep.KernelTests.Surroundings;
using static Skep.Bpf.Asm.OpCodes;
using static Skep.Bpf.Asm.Register;

namespace Skep.KernelTests.Buffers;

public class RingBufferTests
{
    private const int RingBufferOutput = 130, RingBufferReserve = 131, RingBufferSubmit = 132, RingBufferDiscard = 133;

    private static readonly byte[] s_packet = new byte[64];

    [StructLayout(LayoutKind.Sequential)]
    private record struct Event(ulong Sequence, ulong Square, ulong Tail);

    /// <summary>Emits {n, n*n, 7} for each run, n counting from 1; returns the status of the output.</summary>
    private static ProgramSpec Emitter(RingBuffer<Event> ring, Global<ulong> sequence, int size = 24) => new Assembler()
        .LoadMapValue(R6, sequence)
        .Load(SizeDw, R7, R6, 0)
        .Alu(Add, R7, 1)
        .Store(SizeDw, R6, 0, R7)
        .Store(SizeDw, R10, -24, R7)
        .AluRegister(Mul, R7, R7)
        .Store(SizeDw, R10, -16, R7)
        .StoreImmediate(SizeDw, R10, -8, 7)
        .LoadMap(R1, ring)
        .MoveRegister(R2, R10)
        .Alu(Add, R2, -24)
        .Move(R3, size)
        .Move(R4, 0)
        .Call(RingBufferOutput)
        .Exit()
        .Build("emit", ProgramType.Xdp);

    /// <summary>Reserves a record, fills in the sequence, and discards it when that is odd.</summary>
    private static ProgramSpec Discarder(RingBuffer<Event> ring, Global<ulong> sequence) => new Assembler()
        .LoadMap(R1, ring)
        .Move(R2, 24)
        .Move(R3, 0)
        .Call(RingBufferReserve)
        .Jump(Jeq, R0, 0, "out")
        .LoadMapValue(R6, sequence)
        .Load(SizeDw, R7, R6, 0)
        .Alu(Add, R7, 1)
        .Store(SizeDw, R6, 0, R7)
        .Store(SizeDw, R0, 0, R7)
        .StoreImmediate(SizeDw, R0, 8, 0)
        .StoreImmediate(SizeDw, R0, 16, 0)
        .MoveRegister(R1, R0)
        .Move(R2, 0)
        .Jump(Jset, R7, 1, "odd")
        .Call(RingBufferSubmit)
        .Jump("out")
        .Label("odd")
        .Call(RingBufferDiscard)
        .Label("out")
        .Move(R0, 0)
        .Exit()
        .Build("discard", ProgramType.Xdp);

    [ProvesMap(MapKind.RingBuffer)]
    [KernelFact]
    public void Records_come_in_order_over_many_rounds_of_the_ring()
    {
        using var ring = new RingBuffer<Event>(4096, "events");
        using var sequence = new Global<ulong>("sequence");
        using var program = ProgramLoader.Load(Emitter(ring, sequence));
        using var reader = new RingBufferReader<Event>(ring);
        var next = 1ul;
        for (var round = 0; round < 50; round++)
        {
            Assert.Equal(0, program.TestRun(s_packet, new TestRunOptions { Repeat = 100 }).ReturnValue);
            Assert.Equal(100, reader.Drain((in Event record) =>
            {
                Assert.Equal(new Event(next, next * next, 7), record);
                next++;
            }));
        }

        Assert.Equal((5000, 0), (reader.Records, reader.ShortRecords));
        Assert.False(reader.TryRead(out _));
    }

    [KernelFact]
    public void What_does_not_fit_is_lost_in_the_program_and_the_rest_is_intact()
    {
        using var ring = new RingBuffer<Event>(4096, "events");
        using var sequence = new Global<ulong>("sequence");
        using var program = ProgramLoader.Load(Emitter(ring, sequence));
        using var reader = new RingBufferReader<Event>(ring);

        Assert.True(program.TestRun(s_packet, new TestRunOptions { Repeat = 1000 }).ReturnValue < 0);

        // A record takes 24 bytes and a header of 8.
        Assert.InRange(reader.Drain((in Event _) => { }), 4096 / 32 - 1, 4096 / 32);
        Assert.Equal(1000ul, sequence.Value);
    }

    [KernelFact]
    public async Task A_ring_that_never_empties_does_not_keep_a_reader_from_being_cancelled()
    {
        using var ring = new RingBuffer<Event>(4096, "events");
        using var sequence = new Global<ulong>("sequence");
        using var program = ProgramLoader.Load(Emitter(ring, sequence));
        using var reader = new RingBufferReader<Event>(ring);
        using var cancellation = new CancellationTokenSource();
        program.TestRun(s_packet);

        // Each record read is followed by another one before the reader looks again.
        var draining = reader.DrainAsync(
            (in Event record) =>
            {
                program.TestRun(s_packet);
                if (record.Sequence == 500)
                {
                    cancellation.Cancel();
                }
            },
            cancellation.Token);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => draining);
        Assert.Equal(500, reader.Records);
    }

    [KernelFact]
    public void A_record_whose_visit_throws_counts_as_read_and_the_next_one_follows()
    {
        using var ring = new RingBuffer<Event>(4096, "events");
        using var sequence = new Global<ulong>("sequence");
        using var program = ProgramLoader.Load(Emitter(ring, sequence));
        using var reader = new RingBufferReader<Event>(ring);
        program.TestRun(s_packet, new TestRunOptions { Repeat = 5 });

        Assert.Throws<NotSupportedException>(() => reader.Drain((in Event record) =>
        {
            if (record.Sequence == 3)
            {
                throw new NotSupportedException();
            }
        }));

        Assert.Equal(3, reader.Records);
        Assert.True(reader.TryRead(out var next));
        Assert.Equal(4ul, next.Sequence);

        // The room of all five is the programs' again.
        reader.Drain((in Event _) => { });
        program.TestRun(s_packet, new TestRunOptions { Repeat = 100 });
        Assert.Equal(100, reader.Drain((in Event _) => { }));
    }

    [KernelFact]
    public void A_visitor_neither_reads_from_the_ring_nor_disposes_of_the_reader()
    {
        using var ring = new RingBuffer<Event>(4096, "events");
        using var sequence = new Global<ulong>("sequence");
        using var program = ProgramLoader.Load(Emitter(ring, sequence));
        using var reader = new RingBufferReader<Event>(ring);
        program.TestRun(s_packet, new TestRunOptions { Repeat = 4 });

        Assert.Throws<InvalidOperationException>(() => reader.Drain((in Event _) => reader.TryRead(out Event _)));
        Assert.Throws<InvalidOperationException>(() => reader.Drain((in Event _) => reader.Drain((in Event _) => { })));
        Assert.Throws<InvalidOperationException>(() => reader.Drain((in Event _) => reader.Dispose()));

        Assert.True(reader.TryRead(out var last));
        Assert.Equal(4ul, last.Sequence);
    }

    [KernelFact]
    public void Short_records_are_drained_too()
    {
        using var ring = new RingBuffer<Event>(4096, "events");
        using var sequence = new Global<ulong>("sequence");
        using var program = ProgramLoader.Load(Emitter(ring, sequence, size: 16));
        using var reader = new RingBufferReader<Event>(ring);
        program.TestRun(s_packet, new TestRunOptions { Repeat = 3 });
        var seen = new List<Event>();

        Assert.Equal(3, reader.Drain((in Event record) => seen.Add(record)));
        Assert.Equal([new Event(1, 1, 0), new Event(2, 4, 0), new Event(3, 9, 0)], seen);
        Assert.Equal(3, reader.ShortRecords);
    }

    [KernelFact]
    public void Discarded_records_are_passed_over()
    {
        using var ring = new RingBuffer<Event>(4096, "events");
        using var sequence = new Global<ulong>("sequence");
        using var program = ProgramLoader.Load(Discarder(ring, sequence));
        using var reader = new RingBufferReader<Event>(ring);
        program.TestRun(s_packet, new TestRunOptions { Repeat = 7 });

        var seen = new List<ulong>();
        reader.Drain((in Event record) => seen.Add(record.Sequence));

        Assert.Equal([2ul, 4, 6], seen);
    }

    [KernelFact]
    public void Short_records_are_counted_and_end_in_zeroes()
    {
        using var ring = new RingBuffer<Event>(4096, "events");
        using var sequence = new Global<ulong>("sequence");
        using var program = ProgramLoader.Load(Emitter(ring, sequence, size: 16));
        using var reader = new RingBufferReader<Event>(ring);
        program.TestRun(s_packet);

        Assert.True(reader.TryRead(out var record));
        Assert.Equal(new Event(1, 1, 0), record);
        Assert.Equal(1, reader.ShortRecords);
    }

    [KernelFact]
    public async Task A_waiting_reader_wakes_for_each_record()
    {
        using var ring = new RingBuffer<Event>(4096, "events");
        using var sequence = new Global<ulong>("sequence");
        using var program = ProgramLoader.Load(Emitter(ring, sequence));
        using var reader = new RingBufferReader<Event>(ring);
        await using var records = reader.ReadAllAsync(TestContext.Current.CancellationToken).GetAsyncEnumerator(TestContext.Current.CancellationToken);
        for (var i = 1ul; i <= 100; i++)
        {
            var waiting = records.MoveNextAsync();
            program.TestRun(s_packet);

            Assert.True(await waiting);
            Assert.Equal(i, records.Current.Sequence);
        }
    }

    [KernelFact]
    public async Task Waiting_ends_when_cancelled_and_can_be_resumed()
    {
        using var ring = new RingBuffer<Event>(4096, "events");
        using var sequence = new Global<ulong>("sequence");
        using var program = ProgramLoader.Load(Emitter(ring, sequence));
        using var reader = new RingBufferReader<Event>(ring);
        for (var i = 0; i < 20; i++)
        {
            using var cancellation = new CancellationTokenSource();
            var waiting = reader.WaitAsync(cancellation.Token).AsTask();
            await cancellation.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        }

        var last = reader.WaitAsync(TestContext.Current.CancellationToken);
        program.TestRun(s_packet);
        await last;
        Assert.True(reader.TryRead(out _));
    }

    [KernelFact]
    public void Draining_allocates_nothing()
    {
        using var ring = new RingBuffer<Event>(1 << 16, "events");
        using var sequence = new Global<ulong>("sequence");
        using var program = ProgramLoader.Load(Emitter(ring, sequence));
        using var reader = new RingBufferReader<Event>(ring);
        var sum = 0ul;
        RecordVisitor<Event> visit = (in Event record) => sum += record.Sequence;
        program.TestRun(s_packet, new TestRunOptions { Repeat = 10 });
        reader.Drain(visit);
        program.TestRun(s_packet, new TestRunOptions { Repeat = 1000 });

        var before = GC.GetAllocatedBytesForCurrentThread();
        var count = reader.Drain(visit);
        var allocated = GC.GetAllocatedBytesForCurrentThread() - before;

        Assert.Equal((1000, 0L), (count, allocated));
    }

    /// <summary>As <see cref="Emitter"/>, counting what the ring refuses.</summary>
    private static ProgramSpec CountingEmitter(RingBuffer<Event> ring, Global<ulong> sequence, Global<ulong> lost) => new Assembler()
        .LoadMapValue(R6, sequence)
        .Load(SizeDw, R7, R6, 0)
        .Alu(Add, R7, 1)
        .Store(SizeDw, R6, 0, R7)
        .Store(SizeDw, R10, -24, R7)
        .AluRegister(Mul, R7, R7)
        .Store(SizeDw, R10, -16, R7)
        .StoreImmediate(SizeDw, R10, -8, 7)
        .LoadMap(R1, ring)
        .MoveRegister(R2, R10)
        .Alu(Add, R2, -24)
        .Move(R3, 24)
        .Move(R4, 0)
        .Call(RingBufferOutput)
        .Jump(Jeq, R0, 0, "out")
        .LoadMapValue(R6, lost)
        .Move(R1, 1)
        .Atomic(SizeDw, AtomicAdd, R6, 0, R1)
        .Label("out")
        .Move(R0, 2)
        .Exit()
        .Build("emit", ProgramType.Xdp);

    [KernelFact]
    public async Task Every_record_is_either_read_intact_or_counted_as_lost()
    {
        const int Rounds = 20, PerRound = 10_000;
        using var ring = new RingBuffer<Event>(1 << 14, "events");
        using var sequence = new Global<ulong>("sequence");
        using var lost = new Global<ulong>("lost");
        using var program = ProgramLoader.Load(CountingEmitter(ring, sequence, lost));
        using var reader = new RingBufferReader<Event>(ring);
        using var cancellation = new CancellationTokenSource();
        var (read, last, damaged) = (0ul, 0ul, 0);
        var reading = reader.DrainAsync(
            (in Event record) =>
            {
                damaged += record.Sequence > last && record.Square == record.Sequence * record.Sequence && record.Tail == 7 ? 0 : 1;
                last = record.Sequence;
                Volatile.Write(ref read, read + 1);
            },
            cancellation.Token);

        for (var i = 0; i < Rounds; i++)
        {
            program.TestRun(s_packet, new TestRunOptions { Repeat = PerRound });
        }

        Eventually.True(() => Volatile.Read(ref read) + lost.Value == Rounds * PerRound, "all records were accounted for");
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading);
        Assert.Equal(0, damaged);
        Assert.Equal((long)read, reader.Records);
    }
}
