using Skep.Bpf.Buffers;
using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Benchmarks.Maps;

/// <summary>How fast one core drains a ring buffer of 16-byte records, and whether every record is read or counted as lost.</summary>
internal static class RingBenchmark
{
    private const int WarmUp = 40; // the runtime compiles a method for good after some thirty calls
    private const int Rounds = 20;
    private const int PerRound = 100_000;
    private const int Concurrent = 20_000_000;
    private const string Libbpf = "libbpf ring_buffer__consume";

    internal static IEnumerable<BenchmarkRow> Run()
    {
        var producer = new Producer();
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(producer));
        using var ring = producer.Ring;
        using var lost = producer.Lost;
        using var written = producer.Written;
        var rates = new List<double>();
        long allocated;
        using (var reader = new RingBufferReader<Record>(ring))
        {
            // By turns on one core: the program fills the ring, then it is drained and that is timed.
            ThreadClock.Pin();
            var packet = new byte[64];
            ulong sum = 0;
            RecordVisitor<Record> visit = (in Record record) => sum += record.Number;
            for (var round = 0; round < WarmUp; round++)
            {
                Drain(program, reader, packet, visit);
            }

            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var round = 0; round < Rounds; round++)
            {
                rates.Add(Drain(program, reader, packet, visit));
            }

            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        }

        var libbpf = LibbpfRing.Measure(((KernelMapStorage)ring.Storage).Id, program.Id, Rounds, PerRound);
        rates.Sort();
        yield return new("drain a full ring, 16-byte records", "records per second, mean", "1/s", Rounds / rates.Sum(rate => 1 / rate), libbpf?.Mean, libbpf is null ? null : Libbpf);
        yield return new("drain a full ring, 16-byte records", "records per second, best", "1/s", rates[^1], libbpf?.Best, libbpf is null ? null : Libbpf);
        yield return new("drain a full ring, 16-byte records", "allocated per record", "B", (double)allocated / (Rounds * PerRound), null, null);
        foreach (var row in WhileItIsFilled(program, producer))
        {
            yield return row;
        }
    }

    private static double Drain(LoadedProgram program, RingBufferReader<Record> reader, byte[] packet, RecordVisitor<Record> visit)
    {
        program.TestRun(packet, [], new TestRunOptions { Repeat = PerRound });
        var started = ThreadClock.Nanoseconds;
        var count = reader.Drain(visit);
        var taken = ThreadClock.Nanoseconds - started;
        return count == PerRound ? PerRound * 1e9 / taken : throw new InvalidOperationException($"{count} records drained of {PerRound}");
    }

    /// <summary>A program on one core writes as fast as it can while another core reads: what is not read must have been counted.</summary>
    private static IEnumerable<BenchmarkRow> WhileItIsFilled(LoadedProgram program, Producer producer)
    {
        using var reader = new RingBufferReader<Record>(producer.Ring);
        var (before, lostBefore) = (producer.Written.Value, producer.Lost.Value);
        var done = false;
        var writer = new Thread(() =>
        {
            for (var left = Concurrent; left > 0; left -= PerRound)
            {
                program.TestRun(new byte[64], [], new TestRunOptions { Repeat = PerRound });
            }

            Volatile.Write(ref done, true);
        });
        ulong sum = 0;
        RecordVisitor<Record> visit = (in Record record) => sum += record.Number;
        var started = ThreadClock.Nanoseconds;
        writer.Start();
        while (!Volatile.Read(ref done))
        {
            reader.Drain(visit);
        }

        writer.Join();
        reader.Drain(visit);
        var taken = ThreadClock.Nanoseconds - started;
        var (written, lost) = (producer.Written.Value - before, producer.Lost.Value - lostBefore);
        if (written + lost != Concurrent || (ulong)reader.Records != written)
        {
            throw new InvalidOperationException($"{Concurrent} events: {written} written, {lost} counted as lost, {reader.Records} read");
        }

        yield return new("read a ring while it is filled", "records per second of CPU time", "1/s", reader.Records * 1e9 / taken, 2_000_000, "target");
        yield return new("read a ring while it is filled", "lost, counted", "records", lost, null, null);
        yield return new("read a ring while it is filled", "lost, not counted", "records", Concurrent - (double)written - lost, null, null);
    }

    private struct Record
    {
        public ulong Number;
        public ulong Time;
    }

    private sealed class Producer : XdpProgram
    {
        public RingBuffer<Record> Ring { get; } = new(1 << 22);

        public Global<ulong> Written { get; } = new();

        public Global<ulong> Lost { get; } = new();

        public override XdpAction Run(ref XdpContext context)
        {
            if (Ring.Output(new Record { Number = Written.Value, Time = 1 }) == 0)
            {
                Written.Value++;
            }
            else
            {
                Lost.Value++;
            }

            return XdpAction.Pass;
        }
    }
}
