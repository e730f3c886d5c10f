using Skep.Bpf.Buffers;
using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;
using Skep.Bpf.Twin.Interpretation;
using Skep.Engine;

namespace Skep.KernelTests.Programming;

/// <summary>Records from the process to a program: the kernel, the CLR and the interpreter drain them alike, and the writer learns when the ring is full.</summary>
public sealed class UserRingBufferTests
{
    public enum Engine
    {
        Kernel,
        Clr,
        Interpreter,
    }

    [ProvesMap(MapKind.UserRingBuffer)]
    [KernelTheory(Needs = ["user ring buffer"])]
    [InlineData(Engine.Kernel)]
    [InlineData(Engine.Clr)]
    [InlineData(Engine.Interpreter)]
    public void Records_are_drained_in_order_until_the_program_has_enough(Engine engine)
    {
        using var host = new Host<Sums>(engine, new Sums());
        using var writer = new UserRingBufferWriter<Command>(host.Program.Commands);
        foreach (var amount in (ReadOnlySpan<uint>)[3, 4, 5, 1000, 6])
        {
            Assert.True(writer.TryWrite(new Command { Amount = amount, Kind = 1 }));
        }

        // Written in place and thrown away; too short to be one.
        Assert.True(writer.TryReserve(out var discarded));
        discarded.Value = new Command { Amount = 9_000_000, Kind = 1 };
        discarded.Discard();
        Assert.True(writer.TryWriteBytes([1, 2]));
        Assert.True(writer.TryReserve(out var last));
        last.Value = new Command { Amount = 7, Kind = 1 };

        // A record that is not given yet holds up those behind it.
        Assert.Equal(4, host.Run());
        Assert.Equal((1012ul, 4ul), (host.Program.Sum.Value, host.Program.Orders.Value));
        Assert.Equal(2, host.Run());
        Assert.Equal(1018ul, host.Program.Sum.Value);
        last.Submit();
        Assert.Equal(1, host.Run());
        Assert.Equal(1025ul, host.Program.Sum.Value);
        Assert.True(writer.IsDrained);
        Assert.Equal(0, host.Run());
        Assert.Equal(7, writer.Records);
    }

    [KernelTheory(Needs = ["user ring buffer"])]
    [InlineData(Engine.Kernel)]
    [InlineData(Engine.Clr)]
    [InlineData(Engine.Interpreter)]
    public void A_full_ring_is_reported_and_has_room_again(Engine engine)
    {
        using var host = new Host<Sums>(engine, new Sums());
        using var writer = new UserRingBufferWriter<Command>(host.Program.Commands);
        var written = 0;
        while (writer.TryWrite(new Command { Amount = 1, Kind = 1 }))
        {
            written++;
        }

        // 16 bytes each with the head.
        Assert.Equal((256, 1L), (written, writer.Refused));
        Assert.False(writer.TryReserve(out _));
        Assert.Equal(256, host.Run());
        Assert.True(writer.TryWrite(new Command { Amount = 1, Kind = 1 }));
        Assert.Equal(1, host.Run());
        Assert.Equal(257ul, host.Program.Sum.Value);
    }

    [KernelTheory(Needs = ["user ring buffer"])]
    [InlineData(Engine.Kernel)]
    [InlineData(Engine.Clr)]
    [InlineData(Engine.Interpreter)]
    public void Records_of_any_size_are_seen_through_their_bounds(Engine engine)
    {
        using var host = new Host<Lengths>(engine, new Lengths());
        using var writer = new UserRingBufferWriter<byte>(host.Program.Messages);
        Assert.True(writer.TryWriteBytes([1]));
        Assert.True(writer.TryWriteBytes([1, 2, 3, 4, 5, 6, 7, 8, 9]));
        Assert.True(writer.TryWriteBytes(new byte[1000]));
        Assert.Equal(3, host.Run());
        Assert.Equal((1010ul, 1ul + 8), (host.Program.Bytes.Value, host.Program.Eighth.Value));
    }

    [Fact]
    public void A_record_is_given_away_once()
    {
        using var twin = new TwinEngine();
        using var ring = new UserRingBuffer<ulong>(4096);
        twin.Bind(ring);
        using var writer = new UserRingBufferWriter<ulong>(ring);
        Assert.True(writer.TryReserve(out var record));
        record.Submit();
        try
        {
            record.Submit();
            Assert.Fail("the record was given away twice");
        }
        catch (InvalidOperationException)
        {
            Assert.Equal(1, writer.Records);
        }
    }

    private sealed class Host<T> : IDisposable
        where T : XdpProgram
    {
        private readonly TwinEngine _twin = new();
        private readonly LoadedProgram? _loaded;
        private readonly Func<int> _run;

        public Host(Engine engine, T program)
        {
            Program = program;
            var packet = new byte[64];
            switch (engine)
            {
                case Engine.Kernel:
                    _loaded = ProgramLoader.Load(ProgramCompiler.Compile(program, KernelTarget.Running));
                    _run = () => _loaded.TestRun(packet).ReturnValue;
                    break;
                case Engine.Clr:
                    _twin.Bind(program);
                    _run = () => (int)_twin.Run(program, packet).Action;
                    break;
                default:
                    var interpreter = new BytecodeInterpreter(ProgramCompiler.Compile(program, KernelTarget.Running), _twin);
                    _run = () => (int)interpreter.RunXdp(packet).ReturnValue;
                    break;
            }
        }

        public T Program { get; }

        public int Run() => _run();

        public void Dispose()
        {
            foreach (var map in ProgramGraph.Maps(Program))
            {
                map.Dispose();
            }

            _loaded?.Dispose();
            _twin.Dispose();
        }
    }

    private struct Command
    {
        public uint Amount;
        public uint Kind;
    }

    private sealed class Sums : XdpProgram
    {
        public UserRingBuffer<Command> Commands { get; } = new(4096);

        public Global<ulong> Sum { get; } = new();

        public Global<ulong> Orders { get; } = new();

        public override XdpAction Run(ref XdpContext context)
        {
            var state = new State();
            var drained = Commands.Drain(static (in command, ref state) =>
            {
                state.Sum += command.Amount;
                state.Orders = state.Orders + command.Kind;
                return command.Amount == 1000 ? LoopControl.Break : LoopControl.Continue;
            }, ref state);
            Sum.Value += state.Sum;
            Orders.Value += state.Orders;
            return (XdpAction)drained;
        }

        private struct State
        {
            public ulong Sum, Orders;
        }
    }

    private sealed class Lengths : XdpProgram
    {
        public UserRingBuffer<byte> Messages { get; } = new(4096);

        public Global<ulong> Bytes { get; } = new();

        public Global<ulong> Eighth { get; } = new();

        public override XdpAction Run(ref XdpContext context)
        {
            var state = new State();
            var drained = Messages.DrainBytes(static (in record, ref state) =>
            {
                state.Bytes += record.Size;
                record.Read<byte>(0, out var first);
                state.Eighth += record.Read<byte>(7, out var eighth) == 0 ? eighth : first;
                return LoopControl.Continue;
            }, ref state);
            Bytes.Value += state.Bytes;
            Eighth.Value += state.Eighth;
            return (XdpAction)drained;
        }

        private struct State
        {
            public ulong Bytes, Eighth;
        }
    }
}
