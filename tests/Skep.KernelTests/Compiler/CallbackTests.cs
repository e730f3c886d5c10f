using System.Runtime.CompilerServices;
using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Engine;

namespace Skep.KernelTests.Compiler;

/// <summary>Lambdas, methods and function pointers that the kernel calls back, and loops that are written differently for different kernels.</summary>
public unsafe class CallbackTests
{
    private static readonly Version[] s_kernels = [new(5, 15), new(5, 17), new(6, 9)];

    [KernelFact]
    public void A_loop_runs_as_often_in_every_way_it_is_written()
    {
        foreach (var kernel in s_kernels)
        {
            Differential.Check(() => new Sums(), RandomPackets.Make(60, 96), target: new CompileTarget { Kernel = kernel });
        }
    }

    [KernelFact]
    public void The_kernel_decides_how_a_loop_is_written()
    {
        Assert.Equal([1, 2, 2], s_kernels.Select(k => ProgramCompiler.Compile(new Sums(), new CompileTarget { Kernel = k }).Functions.Count));
        var spec = ProgramCompiler.Compile(new Ranges(), new CompileTarget { Kernel = new Version(6, 9) });
        Assert.Contains(spec.Instructions, static i => i.Code == 0xe5);
    }

    [KernelFact]
    public void Lambdas_methods_and_function_pointers_are_called_back() =>
        Differential.Check(() => new Kinds(5), RandomPackets.Make(60, 96), target: New);

    [KernelFact]
    public void Delegates_that_no_helper_takes_are_called_in_place()
    {
        Differential.Check(() => new InPlace(), RandomPackets.Make(60, 96), target: New);
        Assert.Single(ProgramCompiler.Compile(new InPlace(), New).Functions);
    }

    [KernelFact]
    public void Loops_nest_and_share_references() =>
        Differential.Check(() => new Nested(), RandomPackets.Make(60, 96), target: New);

    [ProvesMap(MapKind.Hash, MapKind.LruHash, MapKind.PerCpuHash, MapKind.Array, MapKind.PerCpuArray)]
    [KernelFact]
    public void A_loop_that_the_verifier_sees_making_no_round_loads() =>
        Differential.Check(() => new NoRounds(), RandomPackets.Make(30, 96), target: New);

    [KernelFact]
    public void Every_kind_of_map_that_can_be_walked_is() =>
        Differential.Check(() => new Walks(), RandomPackets.Make(120, 64), static p => $"{p.Results.Value}", target: New);

    [KernelFact]
    public void Entries_are_removed_while_they_are_visited() =>
        Differential.Check(() => new Expires(), RandomPackets.Make(200, 64), static p => string.Join(' ', p.Seen.Keys.Order()), target: New);

    [KernelTheory(Needs = ["number iterator"])]
    [InlineData("5.17", 0)]
    [InlineData("6.4", 1)]
    [InlineData("6.8", 1)]
    [InlineData("6.9", 0)]
    public void The_kernels_iterator_counts_where_there_is_no_may_goto_yet(string kernel, int iterators)
    {
        var target = KernelTarget.Running with { Kernel = Version.Parse(kernel) };
        var calls = ProgramCompiler.Compile(new Ranges(), target).KernelFunctions;
        Assert.Equal(iterators, calls.Count(static c => c.Name == "bpf_iter_num_new"));
        Assert.Equal(iterators == 0, calls.Count == 0);
    }

    [KernelFact(Needs = ["number iterator"])]
    public void An_iterator_is_ended_on_every_way_out_of_its_loop()
    {
        var target = KernelTarget.Running with { Kernel = new Version(6, 4) };
        Differential.Check(() => new Iterates(), RandomPackets.Make(60, 96), target: target);
        using var loaded = ProgramLoader.Load(ProgramCompiler.Compile(new Iterates(), target));
        Assert.InRange(loaded.VerifiedInstructions, 1, 3000);
    }

    [KernelFact]
    public void A_range_without_a_bound_the_verifier_knows_is_walked_once()
    {
        // may_goto is not used below v3, and without it the verifier walks every round.
        Differential.Check(() => new Ranges(), RandomPackets.Make(30, 96), target: New, leastLevel: 3);
        using var loaded = ProgramLoader.Load(ProgramCompiler.Compile(new Ranges(), New));
        Assert.InRange(loaded.VerifiedInstructions, 1, 400);
    }

    private static CompileTarget New => new() { Kernel = new Version(6, 9) };

    private sealed class Sums : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 64 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            var state = new State { Seed = *(ulong*)data, Limit = data[8] };
            var rounds = Loop.Run(200, static (index, ref state) => Step(index, ref state), ref state);
            *(ulong*)(data + 16) = state.Seed;
            *(long*)(data + 24) = rounds;
            *(uint*)(data + 32) = state.Last;

            // Few rounds stay a plain loop, whatever the kernel.
            var few = new State { Seed = 1 };
            *(long*)(data + 40) = Loop.Run(7, static (index, ref state) => Step(index, ref state), ref few);
            *(ulong*)(data + 48) = few.Seed;
            return XdpAction.Pass;
        }

        private static LoopControl Step(uint index, ref State state)
        {
            state.Seed = (state.Seed * 6364136223846793005) + index;
            state.Last = index;
            return state.Limit != 0 && index == state.Limit ? LoopControl.Break : LoopControl.Continue;
        }

        private struct State
        {
            public ulong Seed;
            public uint Last;
            public uint Limit;
        }
    }

    private sealed class Kinds(uint step) : XdpProgram
    {
        private readonly uint _step = step;
        private readonly LoopBody<ulong> _kept = Triple;

        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 64 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            ulong sum = data[0];
            var rounds = (uint)data[1];
            Loop.Run(rounds, static (index, ref sum) => Add(index, ref sum), ref sum);
            Loop.Run(rounds, Triple, ref sum);
            Loop.Run(rounds, AddStep, ref sum);
            Loop.Run(rounds, (index, ref total) => AddStep(index, ref total), ref sum);
            Loop.Run(rounds, _kept, ref sum);
            Loop.Run(rounds, Local, ref sum);
            Call(&Add, ref sum);
            *(ulong*)(data + 16) = sum;
            return XdpAction.Pass;

            static LoopControl Local(uint index, ref ulong sum)
            {
                sum ^= index << 3;
                return (LoopControl)(sum & 128);
            }
        }

        private static void Call(delegate*<uint, ref ulong, LoopControl> body, ref ulong sum) => body(9, ref sum);

        private static LoopControl Add(uint index, ref ulong sum)
        {
            sum += index;
            return sum > 10_000 ? LoopControl.Break : LoopControl.Continue;
        }

        private static LoopControl Triple(uint index, ref ulong sum)
        {
            sum = (sum * 3) + index;
            return LoopControl.Continue;
        }

        private LoopControl AddStep(uint index, ref ulong sum)
        {
            sum += index * _step;
            return LoopControl.Continue;
        }
    }

    private sealed class InPlace : XdpProgram
    {
        private readonly Func<uint, uint, uint> _combine = static (a, b) => (a * 31) ^ b;

        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 64 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            var words = (uint*)data;
            words[4] = _combine(words[0], words[1]);
            words[5] = Apply(static x => x + 3, words[2]);
            words[6] = Apply(Twice, words[2]);
            delegate*<uint, uint> pointer = &Twice;
            words[7] = pointer(words[3]);
            return XdpAction.Pass;
        }

        private static uint Apply(Func<uint, uint> change, uint value) => change(change(value));

        private static uint Twice(uint value) => value * 2;
    }

    private sealed class Nested : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 64 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            uint pairs = 0;
            var outer = new Outer { Pairs = ref pairs, Limit = data[0] & 31u };
            Loop.Run(40, static (i, ref outer) => Row(i, ref outer), ref outer);
            *(uint*)(data + 16) = pairs;
            *(uint*)(data + 20) = outer.Rows;
            return XdpAction.Pass;
        }

        private static LoopControl Row(uint row, ref Outer outer)
        {
            var inner = new Inner { Row = row };
            Loop.Run(30, static (column, ref inner) =>
            {
                inner.Count += (column ^ inner.Row) & 1;
                return column > inner.Row ? LoopControl.Break : LoopControl.Continue;
            }, ref inner);
            outer.Pairs += inner.Count;
            outer.Rows++;
            return row >= outer.Limit ? LoopControl.Break : LoopControl.Continue;
        }

        private ref struct Outer
        {
            public ref uint Pairs;
            public uint Limit;
            public uint Rows;
        }

        private struct Inner
        {
            public uint Row;
            public uint Count;
        }
    }

    private sealed class NoRounds : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 64 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            // On the way where it is 0 the verifier does not look at the body.
            ulong sum = data[0];
            if (data[1] is 0 or > 200)
            {
                var rounds = data[1] > 200 ? 0u : data[1];
                sum += (ulong)Loop.Run(rounds, static (index, ref sum) => Add(index, ref sum), ref sum);
            }

            *(ulong*)(data + 16) = sum;
            return XdpAction.Pass;
        }

        private static LoopControl Add(uint index, ref ulong sum)
        {
            sum += index;
            return LoopControl.Continue;
        }
    }

    private struct Totals
    {
        public ulong Entries;
        public ulong Keys;
        public ulong Values;

        public override readonly string ToString() => $"{Entries} {Keys} {Values}";
    }

    private sealed class Walks : XdpProgram
    {
        private readonly HashMap<ulong, uint> _hash = new(64);
        private readonly LruHashMap<ulong, uint> _lru = new(4096);
        private readonly PerCpuHashMap<ulong, uint> _perCpu = new(64);
        private readonly ArrayMap<ulong> _array = new(16);
        private readonly PerCpuArrayMap<ulong> _perCpuArray = new(16);

        public Global<Totals> Results { get; } = new();

        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 32 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            ulong key = data[0] & 31u;
            var value = (uint)data[1];
            _hash.Update(in key, in value, UpdateMode.Any);
            _lru.Update(in key, in value, UpdateMode.Any);
            _perCpu.Update(in key, in value, UpdateMode.Any);
            uint index = data[2] & 15u;
            ulong wide = data[3];
            _array.Update(in index, in wide, UpdateMode.Any);
            _perCpuArray.Update(in index, in wide, UpdateMode.Any);

            var totals = default(Totals);
            var visited = _hash.ForEach(static (in key, ref value, ref totals) => Sum(key, value, ref totals), ref totals);
            visited += _lru.ForEach(static (in key, ref value, ref totals) => Sum(key, value, ref totals), ref totals);

            // Which CPU the kernel runs on is not known, so the values of this CPU are not compared.
            visited += _perCpu.ForEach(static (in key, ref value, ref totals) => Sum(key, 0, ref totals), ref totals);
            visited += _array.ForEach(static (in key, ref value, ref totals) => Sum(key, value++, ref totals), ref totals);
            visited += _perCpuArray.ForEach(static (in key, ref value, ref totals) => key == 9 ? LoopControl.Break : Sum(key, 0, ref totals), ref totals);
            Results.Value.Entries += totals.Entries + (ulong)visited;
            Results.Value.Keys += totals.Keys;
            Results.Value.Values += totals.Values;
            return XdpAction.Pass;
        }

        private static LoopControl Sum(ulong key, ulong value, ref Totals totals)
        {
            totals.Entries++;
            totals.Keys += key;
            totals.Values += value;
            return LoopControl.Continue;
        }
    }

    private sealed class Expires : XdpProgram
    {
        public HashMap<uint, uint> Seen { get; } = new(256);

        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 32 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            uint key = data[0];
            uint age = data[1];
            Seen.Update(in key, in age, UpdateMode.Any);
            uint removed = 0;
            Seen.ForEach(Visit, ref removed);
            data[2] = (byte)removed;
            return XdpAction.Pass;
        }

        private LoopControl Visit(in uint key, ref uint age, ref uint removed)
        {
            age += 16;
            if (age > 200)
            {
                Seen.Delete(in key);
                removed++;
            }

            return LoopControl.Continue;
        }
    }

    /// <summary>Loops in loops, left by break, by return and at their ends.</summary>
    private sealed class Iterates : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 64 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            uint sum = 0;
            foreach (var i in Loop.Range(data[0]))
            {
                foreach (var j in Loop.Range(*(ushort*)(data + 2)))
                {
                    if (j > i * 3)
                    {
                        break;
                    }

                    sum += j ^ data[4];
                    if (sum > 50_000)
                    {
                        *(uint*)(data + 8) = i;
                        return XdpAction.Tx;
                    }
                }

                if ((sum & 0xff) == data[5])
                {
                    continue;
                }

                sum += Count(data[6]);
            }

            *(uint*)(data + 12) = sum;
            return XdpAction.Pass;
        }

        private static uint Count(uint most)
        {
            foreach (var k in Loop.Range(most))
            {
                if (k == 5)
                {
                    return 7;
                }
            }

            return 1;
        }
    }

    private sealed class Ranges : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 64 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            var hash = *(ulong*)data;
            foreach (var i in Loop.Range(*(ushort*)(data + 8)))
            {
                hash = (hash ^ i) * 1099511628211;
                if ((hash & 0xfff) == 7)
                {
                    break;
                }
            }

            *(ulong*)(data + 16) = hash;
            var left = (uint)data[10];
            while (left > 3 && Loop.MayContinue)
            {
                left = (left * 7) >> 3;
            }

            *(uint*)(data + 24) = left;
            return XdpAction.Pass;
        }
    }
}
