using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Passes;

/// <summary>
/// Computes equal values once, decides branches that repeat a dominating one, and knows what a comparison gives behind a branch on the same. Memory is not touched here.
/// Only identical operations on identical SSA values are merged, so the value that was compared stays the one that is dereferenced.
/// </summary>
internal sealed class CommonSubexpressions : IPass
{
    public string Why => "equal values are computed once, repeated tests disappear";

    public bool Run(Function function)
    {
        var dominators = new Dominators(function);

        // Values that have been computed on the way to a block, and answers to tests: constants 1 and 0.
        var known = new Dictionary<Key, Node>(new KeyComparer());
        var added = new List<Key>();
        var changed = false;

        // The complement of how many keys there were before a block is for when it is left.
        var work = new Stack<int>();
        work.Push(0);
        while (work.TryPop(out var index))
        {
            if (index < 0)
            {
                for (var i = added.Count - 1; i >= ~index; i--)
                {
                    known.Remove(added[i]);
                }

                added.RemoveRange(~index, added.Count - ~index);
                continue;
            }

            work.Push(~added.Count);
            var block = function.Blocks[index];
            Learn(block, known, added);
            foreach (var node in block.Nodes)
            {
                var operands = node.Operands;
                for (var i = 0; i < operands.Count; i++)
                {
                    var operand = operands[i].Resolve();
                    if (operand.Op == Op.Compare && known.TryGetValue(KeyOf(operand.Condition, operand.Operands[0], operand.Operands[1]), out var outcome))
                    {
                        operand = outcome;
                        changed = true;
                    }

                    operands[i] = operand;
                }

                if (node.Op == Op.Branch && known.TryGetValue(KeyOf(node.Condition, operands[0], operands[1]), out var answer))
                {
                    // ControlFlow folds the branch on two constants.
                    node.Condition = Condition.Equal;
                    node.With(answer, Node.Const(IrType.I32, 1));
                    changed = true;
                }
                else if (node.Op is >= Op.Add and <= Op.Compare && node.Replacement is null)
                {
                    var key = KeyOf(node);
                    if (known.TryGetValue(key, out var earlier))
                    {
                        node.Replacement = earlier;
                        changed = true;
                    }
                    else
                    {
                        known.Add(key, node);
                        added.Add(key);
                    }
                }
            }

            foreach (var child in dominators.Children[index])
            {
                work.Push(child);
            }
        }

        if (changed)
        {
            function.ApplyReplacements();
        }

        return changed;
    }

    /// <summary>What the branch that leads here, and nothing else does, has established.</summary>
    private static void Learn(Block block, Dictionary<Key, Node> known, List<Key> added)
    {
        if (block.Predecessors.Count != 1 || block.Predecessors[0].Terminator is not { Op: Op.Branch } branch || branch.Targets[0] == branch.Targets[1])
        {
            return;
        }

        var holds = branch.Targets[0] == block;
        Add(branch.Condition, holds);
        Add(branch.Condition.Negate(), !holds);

        void Add(Condition condition, bool value)
        {
            var key = KeyOf(condition, branch.Operands[0], branch.Operands[1]);
            if (known.TryAdd(key, Node.Const(IrType.I32, value ? 1 : 0)))
            {
                added.Add(key);
            }
        }
    }

    private static Key KeyOf(Node node) => new(
        node.Op, node.Type, node.Op == Op.Compare ? (long)node.Condition : node.Immediate, new Operand(node.Operands[0]), node.Operands.Count > 1 ? new Operand(node.Operands[1]) : default);

    private static Key KeyOf(Condition condition, Node a, Node b) => new(Op.Branch, a.Type, (long)condition, new Operand(a), new Operand(b));

    /// <summary>Constants compare by value, maps and objects by what they are, everything else by identity.</summary>
    private readonly struct Operand(Node node) : IEquatable<Operand>
    {
        private readonly Op _op = node.Op;
        private readonly object? _identity = node.Op switch
        {
            Op.Constant => null,
            Op.Map or Op.FrozenObject or Op.MapValue => node.Payload,
            _ => node,
        };

        private readonly long _number = node.Op is Op.Constant or Op.MapValue ? node.Immediate : 0;

        public bool Equals(Operand other) => _op == other._op && _number == other._number && (ReferenceEquals(_identity, other._identity) || Equals(_identity, other._identity));

        public override bool Equals(object? obj) => obj is Operand other && Equals(other);

        public override int GetHashCode() => ((int)_op * 31) + _number.GetHashCode() + (_identity?.GetHashCode() ?? 0);
    }

    private readonly struct Key(Op op, IrType type, long immediate, Operand a, Operand b) : IEquatable<Key>
    {
        private readonly Op _op = op;
        private readonly IrType _type = type;
        private readonly long _immediate = immediate;
        private readonly Operand _a = a;
        private readonly Operand _b = b;

        public bool Equals(Key other) => _op == other._op && _type == other._type && _immediate == other._immediate && _a.Equals(other._a) && _b.Equals(other._b);

        public override bool Equals(object? obj) => obj is Key other && Equals(other);

        public override int GetHashCode() => (((((((int)_op * 31) + (int)_type) * 31) + _immediate.GetHashCode()) * 31) + _a.GetHashCode()) * 31 + _b.GetHashCode();
    }

    /// <summary>The framework's own comparer of a struct cannot be compiled ahead of time.</summary>
    private sealed class KeyComparer : IEqualityComparer<Key>
    {
        public bool Equals(Key x, Key y) => x.Equals(y);

        public int GetHashCode(Key obj) => obj.GetHashCode();
    }
}
