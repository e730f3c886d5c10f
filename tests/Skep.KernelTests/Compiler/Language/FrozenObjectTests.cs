using System.Collections.Immutable;
using Skep.Bpf.Asm;
using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;

namespace Skep.KernelTests.Compiler.Language;

/// <summary>Objects held by a program become its code: pipelines, trees, rule lists.</summary>
public unsafe class FrozenObjectTests
{
    [KernelFact]
    public void A_pipeline_in_an_immutable_array_is_straight_code()
    {
        WordsProgram.Check(() => new Pipeline([new Add(3), new Xor(0x55), new Stop(7), new Add(1)]));
        var code = ProgramCompiler.Compile(new Pipeline([new Add(3), new Xor(0x55), new Stop(7), new Add(1)]));
        Assert.DoesNotContain(code.Instructions, IsBackwardJump);
        Assert.True(ProgramCompiler.Compile(new Pipeline([])).Instructions.Count < 12);
    }

    [KernelFact]
    public void A_pipeline_in_an_array_is_straight_code() =>
        WordsProgram.Check(() => new ArrayPipeline([new Add(3), new Stop(9), new Xor(0x1234)]));

    [KernelFact]
    public void A_stage_in_a_stage_has_its_own_state() =>
        WordsProgram.Check(
            () => new ArrayPipeline([new Group([new Counted(1), new Group([new Counted(2), new Stop(3)])]), new Counted(4)]),
            60,
            static p => string.Join(' ', p.Counters().Select(static c => c.Value)));

    [KernelFact]
    public void A_tree_of_objects_is_nested_conditions() =>
        WordsProgram.Check(() => new Tree(Grow(0, 5)), 200);

    [KernelFact]
    public void A_walk_down_a_tree_is_the_tree()
    {
        WordsProgram.Check(() => new Walk(Grow(0, 4)), 200);
        Assert.DoesNotContain(ProgramCompiler.Compile(new Walk(Grow(0, 4))).Instructions, IsBackwardJump);
    }

    [KernelFact]
    public void A_tree_in_arrays_is_the_tree() =>
        WordsProgram.Check(() => new Flat([0, 1, 2, -1, -1, -1, -1], [100, 50, 150, 1, 2, 3, 4], [1, 3, 5, 0, 0, 0, 0]), 200);

    [KernelFact]
    public void A_list_of_rules_ends_at_the_first_that_matches() =>
        WordsProgram.Check(() => new Rules([new Rule(6, 80, 1), new Rule(17, 53, 2), new Rule(6, 443, 3), new Rule(0, 0, 9)]), 300);

    [KernelFact]
    public void An_object_chosen_by_data_is_called_in_both_branches() =>
        WordsProgram.Check(() => new Choice(new Add(5), new Xor(77)), 60);

    [KernelFact]
    public void An_object_found_in_a_loop_is_called_after_it() =>
        WordsProgram.Check(() => new Finds([new Keyed(1, new Add(5)), new Keyed(2, new Xor(3)), new Keyed(3, new Add(9))]), 200);

    [KernelFact]
    public void A_value_found_in_a_loop_over_objects_is_returned() =>
        WordsProgram.Check(() => new Lookup([new Keyed(1, new Add(5)), new Keyed(2, new Xor(3))]), 200);

    [KernelFact]
    public void Generic_constraints_are_called_directly() =>
        WordsProgram.Check(() => new Constrained<Add, XorValue>(new Add(11), new XorValue(0xff)), 60);

    [KernelFact]
    public void Default_interface_members_are_called() => WordsProgram.Check(() => new Defaults(new Plain(), new Own()), 60);

    [KernelFact]
    public void Overrides_and_base_calls_reach_the_right_body() => WordsProgram.Check(() => new Derivation(new Derived(3), new Base(4)), 60);

    [KernelFact]
    public void Nested_loops_over_objects_and_values_mix_with_loops_over_numbers() =>
        WordsProgram.Check(() => new Mixed([[1, 2, 3], [4, 5], []], [new Add(3), new Xor(9)]), 60);

    [KernelFact]
    public void Endless_loops_over_objects_are_named()
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        var e = Assert.Throws<CompileException>(() => ProgramCompiler.Compile(new Endless()));
        Assert.Equal("SKEP0011", e.Id);

        // Each turn is looked up among all before it: that must not grow with their number.
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 100 << 20);
        Assert.Contains("more than", e.Message, StringComparison.Ordinal);
        Assert.EndsWith("FrozenObjectTests.cs", e.Position.File, StringComparison.Ordinal);
    }

    private static bool IsBackwardJump(Instruction i) => (i.Code & 7) is OpCodes.ClassJmp or OpCodes.ClassJmp32 && (i.Code & 0xf0) != 0x80 && i.Offset < 0;

    private static Node Grow(int from, int depth) => depth == 0
        ? new Leaf((uint)(from * 17) & 0xff)
        : new Split(from % 4, (uint)((from * 37) + (depth * 29)) & 0xff, Grow((from * 2) + 1, depth - 1), Grow((from * 2) + 2, depth - 1));

    private interface IStage
    {
        bool Apply(ulong* w);
    }

    private sealed class Add(ulong amount) : IStage
    {
        public bool Apply(ulong* w)
        {
            w[1] += amount;
            return true;
        }
    }

    private sealed class Xor(ulong mask) : IStage
    {
        public bool Apply(ulong* w)
        {
            w[1] ^= mask;
            return true;
        }
    }

    private readonly struct XorValue(ulong mask) : IStage
    {
        private readonly ulong _mask = mask;

        public bool Apply(ulong* w)
        {
            w[2] ^= _mask;
            return true;
        }
    }

    private sealed class Stop(ulong at) : IStage
    {
        public bool Apply(ulong* w) => (w[0] & 15) != at;
    }

    private sealed class Counted(ulong step) : IStage
    {
        public Global<ulong> Count { get; } = new();

        public bool Apply(ulong* w)
        {
            Count.Value += step;
            return true;
        }
    }

    private sealed class Group(ImmutableArray<IStage> stages) : IStage
    {
        public ImmutableArray<IStage> Stages => stages;

        public bool Apply(ulong* w)
        {
            for (var i = 0; i < stages.Length; i++)
            {
                if (!stages[i].Apply(w))
                {
                    return false;
                }
            }

            return true;
        }
    }

    private sealed class Pipeline(ImmutableArray<IStage> stages) : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            foreach (var stage in stages)
            {
                if (!stage.Apply(w))
                {
                    return false;
                }
            }

            return true;
        }
    }

    private sealed class ArrayPipeline(IStage[] stages) : WordsProgram
    {
        private readonly IStage[] _stages = stages;

        public IEnumerable<Global<ulong>> Counters() => _stages.SelectMany(Of);

        protected override bool Compute(ulong* w)
        {
            foreach (var stage in _stages)
            {
                if (!stage.Apply(w))
                {
                    break;
                }

                w[3]++;
            }

            return w[3] > 5;
        }

        private static IEnumerable<Global<ulong>> Of(IStage stage) => stage switch
        {
            Counted counted => [counted.Count],
            Group group => group.Stages.SelectMany(Of),
            _ => [],
        };
    }

    private abstract class Node
    {
        public abstract uint Evaluate(ulong* w);
    }

    private sealed class Leaf(uint value) : Node
    {
        public uint Value { get; } = value;

        public override uint Evaluate(ulong* w) => Value;
    }

    private sealed class Split(int feature, uint threshold, Node left, Node right) : Node
    {
        public Node Left { get; } = left;

        public Node Right { get; } = right;

        public bool GoesLeft(ulong* w) => (byte)w[feature] < threshold;

        public override uint Evaluate(ulong* w) => GoesLeft(w) ? Left.Evaluate(w) : Right.Evaluate(w);
    }

    private sealed class Tree(Node root) : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            w[8] = root.Evaluate(w);
            return w[8] > 100;
        }
    }

    private sealed class Walk(Node root) : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            var node = root;
            while (node is Split split)
            {
                node = split.GoesLeft(w) ? split.Left : split.Right;
            }

            w[8] = ((Leaf)node).Value;
            return true;
        }
    }

    private sealed class Flat(int[] feature, ImmutableArray<uint> threshold, int[] left) : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            var at = 0;
            while (feature[at] >= 0)
            {
                if ((byte)w[feature[at]] < threshold[at])
                {
                    at = left[at];
                }
                else
                {
                    at = left[at] + 1;
                }
            }

            w[9] = threshold[at];
            return true;
        }
    }

    private readonly record struct Rule(byte Protocol, ushort Port, uint Action);

    private sealed class Rules(ImmutableArray<Rule> rules) : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            var protocol = (byte)((w[0] & 1) == 0 ? 6 : 17);
            var port = (ushort)((w[1] & 3) switch { 0 => 80, 1 => 53, 2 => 443, _ => (ushort)w[2] });
            foreach (var rule in rules)
            {
                if ((rule.Protocol == 0 || rule.Protocol == protocol) && (rule.Port == 0 || rule.Port == port))
                {
                    w[10] = rule.Action;
                    return rule.Action != 2;
                }
            }

            return false;
        }
    }

    private sealed class Choice(IStage a, IStage b) : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            var stage = (w[0] & 1) == 0 ? a : b;
            stage.Apply(w);
            ((w[0] & 2) == 0 ? a : b).Apply(w);
            return true;
        }
    }

    private sealed record Keyed(ulong Key, IStage Stage);

    private sealed class Finds(Keyed[] stages) : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            IStage? found = null;
            for (var i = 0; i < stages.Length; i++)
            {
                if (stages[i].Key == (w[0] & 3))
                {
                    found = stages[i].Stage;
                    break;
                }
            }

            if (found is null)
            {
                return false;
            }

            return found.Apply(w);
        }
    }

    private sealed class Lookup(Keyed[] entries) : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            w[10] = Find(w[0] & 3, w[1]);
            w[11] = IndexOf(w[2] & 3) is var at and >= 0 ? (ulong)at : 77;
            return w[10] > 5;
        }

        private ulong Find(ulong key, ulong otherwise)
        {
            var result = otherwise;
            for (var i = 0; i < entries.Length; i++)
            {
                if (entries[i].Key == key)
                {
                    result = key * 3;
                    break;
                }
            }

            return result;
        }

        private int IndexOf(ulong key)
        {
            for (var i = 0; i < entries.Length; i++)
            {
                if (entries[i].Key == key)
                {
                    return i;
                }
            }

            return -1;
        }
    }

    private sealed class Constrained<TFirst, TSecond>(TFirst first, TSecond second) : WordsProgram
        where TFirst : class, IStage
        where TSecond : struct, IStage
    {
        private readonly TSecond _second = second;

        protected override bool Compute(ulong* w) => Both(first, _second, w);

        private static bool Both<TA, TB>(TA a, TB b, ulong* w)
            where TA : IStage
            where TB : IStage => a.Apply(w) && b.Apply(w);
    }

    private interface IScale
    {
        uint Factor { get; }

        uint Scale(uint value) => (value * Factor) + 1;
    }

    private sealed class Plain : IScale
    {
        public uint Factor => 3;
    }

    private sealed class Own : IScale
    {
        public uint Factor => 5;

        public uint Scale(uint value) => value ^ Factor;
    }

    private sealed class Defaults(IScale a, IScale b) : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            w[1] = a.Scale((uint)w[0]);
            w[2] = b.Scale((uint)w[0]);
            return w[1] > w[2];
        }
    }

    private class Base(uint seed)
    {
        protected uint Seed => seed;

        public virtual uint Value(uint x) => x + seed;
    }

    private sealed class Derived(uint seed) : Base(seed)
    {
        public override uint Value(uint x) => (base.Value(x) * 2) + Seed;
    }

    private sealed class Derivation(Base a, Base b) : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            w[1] = a.Value((uint)w[0]);
            w[2] = b.Value((uint)w[0]);
            return true;
        }
    }

    private sealed class Mixed(int[][] tables, ImmutableArray<IStage> stages) : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            var sum = 0;
            foreach (var table in tables)
            {
                foreach (var value in table)
                {
                    for (var i = 0; i < 5; i++)
                    {
                        sum += value * (int)(w[i] & 0xff);
                    }
                }

                foreach (var stage in stages)
                {
                    stage.Apply(w);
                }
            }

            w[20] = (ulong)sum;
            var last = 0UL;
            for (var i = stages.Length - 1; i >= 0; i--)
            {
                for (var j = 0; j <= i; j++)
                {
                    stages[j].Apply(w);
                    last = (last * 3) + w[1];
                }
            }

            w[21] = last;
            return true;
        }
    }


    private sealed class Endless : WordsProgram
    {
        private readonly IStage[] _stages = [new Add(1), new Add(2)];

        protected override bool Compute(ulong* w)
        {
            for (var i = 0; ; i++)
            {
                if (_stages[i & 1].Apply(w) && w[1] == 0)
                {
                    return true;
                }
            }
        }
    }
}
