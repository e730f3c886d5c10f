using System.Runtime.CompilerServices;
using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;

namespace Skep.KernelTests.Compiler;

/// <summary>Programs that continue in others: the verdict, the packet and the maps are those of the process.</summary>
public unsafe class TailCallTests
{
    [ProvesMap(MapKind.ProgramArray)]
    [KernelFact]
    public void A_program_continues_in_the_slot_it_chooses() =>
        Differential.Check(() => new Chooses(), RandomPackets.Make(200, 64), static p => $"{p.Counter.Total.Value} {p.Marker.Total.Value}");

    [KernelFact]
    public void A_chain_ends_after_33_calls()
    {
        var packets = RandomPackets.Make(3, 64).ToArray();
        Differential.Check(Repeats.Endless, packets);
        Kernel.Require();
        var spec = ProgramCompiler.Compile(Repeats.Endless());
        using var loaded = ProgramLoader.Load(spec);
        Assert.Equal(34, loaded.TestRun(new byte[64]).Output[0]);
        Dispose(spec);
    }

    [KernelFact]
    public void A_function_that_ends_in_a_tail_call_gives_its_caller_the_verdict() =>
        Differential.Check(() => new InFunction(), RandomPackets.Make(100, 64), static p => $"{p.Verdicts.Value}");

    [KernelFact]
    public void A_slot_is_exchanged_while_the_program_runs()
    {
        Kernel.Require();
        var program = new Fixed();
        var spec = ProgramCompiler.Compile(program);
        using var loaded = ProgramLoader.Load(spec);
        Assert.Equal((int)XdpAction.Drop, loaded.TestRun(new byte[64]).ReturnValue);

        var next = ProgramCompiler.Compile(new Ends(XdpAction.Tx));
        using (var replacement = ProgramLoader.Load(next))
        {
            program.Next.Set(0, replacement);
        }

        // The kernel keeps what is in a slot.
        Assert.Equal((int)XdpAction.Tx, loaded.TestRun(new byte[64]).ReturnValue);
        Assert.True(program.Next.Clear(0));
        Assert.False(program.Next.Clear(0));
        Assert.Equal((int)XdpAction.Aborted, loaded.TestRun(new byte[64]).ReturnValue);
        Dispose(spec);
    }

    [KernelFact]
    public void The_twin_exchanges_a_slot_too()
    {
        using var twin = new TwinEngine();
        var program = new Fixed();
        Assert.Equal(XdpAction.Drop, twin.Run(program, new byte[64]).Action);
        program.Next[0] = new Ends(XdpAction.Tx);
        Assert.Equal(XdpAction.Tx, twin.Run(program, new byte[64]).Action);
        Assert.True(program.Next.Clear(0));
        Assert.Equal(XdpAction.Aborted, twin.Run(program, new byte[64]).Action);
    }

    [KernelFact]
    public void A_pinned_array_is_filled_anew()
    {
        Kernel.Require();
        using var pins = new Surroundings.TestPins();
        var first = ProgramCompiler.Compile(new Fixed());
        using var old = ProgramLoader.Load(first, new LoadOptions { PinDirectory = pins.Directory });
        Assert.Equal((int)XdpAction.Drop, old.TestRun(new byte[64]).ReturnValue);

        // A new version takes the array over: the old program, which still runs, continues in the new one's.
        var second = ProgramCompiler.Compile(new Fixed(XdpAction.Tx));
        using var young = ProgramLoader.Load(second, new LoadOptions { PinDirectory = pins.Directory });
        Assert.Equal((int)XdpAction.Tx, young.TestRun(new byte[64]).ReturnValue);
        Assert.Equal((int)XdpAction.Tx, old.TestRun(new byte[64]).ReturnValue);
        Dispose(first);
        Dispose(second);
    }

    private static void Dispose(ProgramSpec spec)
    {
        foreach (var map in spec.Reachable.SelectMany(static s => s.Maps).Distinct())
        {
            map.Dispose();
        }
    }

    private sealed class Counts(byte xor) : XdpProgram
    {
        private readonly byte _xor = xor;

        public Global<ulong> Total { get; } = new();

        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 16 > context.DataEnd)
            {
                return XdpAction.Aborted;
            }

            Total.Value += data[1];
            data[2] ^= _xor;
            return data[2] > 100 ? XdpAction.Tx : XdpAction.Pass;
        }
    }

    private sealed class Chooses : XdpProgram
    {
        private readonly ProgramArray<XdpContext, XdpAction> _next;

        public Chooses()
        {
            Counter = new Counts(0x5a);
            Marker = new Counts(0x33);
            _next = new(5) { [0] = Counter, [1] = Marker, [3] = Counter };
        }

        public Counts Counter { get; }

        public Counts Marker { get; }

        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 16 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            if (data[0] > 200)
            {
                return XdpAction.Pass;
            }

            data[3]++;
            return Continue(ref context, data[0] & 7u);
        }

        private XdpAction Continue(ref XdpContext context, uint slot) => _next.Call(ref context, slot, slot == 7 ? XdpAction.Drop : XdpAction.Aborted);
    }

    private sealed class Repeats : XdpProgram
    {
        private readonly ProgramArray<XdpContext, XdpAction> _self = new(1);

        public static Repeats Endless()
        {
            var program = new Repeats();
            program._self[0] = program;
            return program;
        }

        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 16 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            data[0]++;
            return _self.Call(ref context, 0, XdpAction.Pass);
        }
    }

    private sealed class InFunction : XdpProgram
    {
        private readonly ProgramArray<XdpContext, XdpAction> _next = new(2) { [0] = new Counts(1), [1] = new Counts(0x77) };

        public Global<ulong> Verdicts { get; } = new();

        public override XdpAction Run(ref XdpContext context)
        {
            var first = Ask(ref context, 0);
            var second = Ask(ref context, first == XdpAction.Tx ? 1u : 9u);
            Verdicts.Value += (ulong)first + (16 * (ulong)second);
            return second;
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private XdpAction Ask(ref XdpContext context, uint slot) => _next.Call(ref context, slot, XdpAction.Drop);
    }

    private sealed class Ends(XdpAction verdict) : XdpProgram
    {
        private readonly XdpAction _verdict = verdict;

        public override XdpAction Run(ref XdpContext context) => _verdict;
    }

    private sealed class Fixed(XdpAction verdict = XdpAction.Drop) : XdpProgram
    {
        public ProgramArray<XdpContext, XdpAction> Next { get; } = new(1) { [0] = new Ends(verdict) };

        public override XdpAction Run(ref XdpContext context) => Next.Call(ref context, 0, XdpAction.Aborted);
    }
}
