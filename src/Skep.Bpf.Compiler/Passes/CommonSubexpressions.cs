using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Passes;

/// <summary>
/// Computes equal values once, and decides branches that repeat a dominating one. Memory is not touched here.
/// Only identical operations on identical SSA values are merged, so the value that was compared stays the one that is dereferenced.
/// </summary>
internal sealed class CommonSubexpressions : IPass
{
    public string Why => "equal values are computed once, repeated tests disappear";

    public bool Run(Function function)
    {
        var dominators = new Dominators(function);
        var values = new Dictionary<Key, Node>();
        var facts = new Dictionary<(Condition, Key), bool>();
        var changed = false;
        var stack = new Stack<(int Block, List<Key>? Values, List<(Condition, Key)>? Facts)>();
        stack.Push((0, null, null));
        while (stack.Count > 0)
        {
            var (index, addedValues, addedFacts) = stack.Pop();
            if (addedValues is not null)
            {
                addedValues.ForEach(k => values.Remove(k));
                addedFacts!.ForEach(k => facts.Remove(k));
                continue;
            }

            var block = function.Blocks[index];
            addedValues = [];
            addedFacts = [];
            Learn(block, facts, addedFacts);
            foreach (var node in block.Nodes)
            {
                for (var i = 0; i < node.Operands.Count; i++)
                {
                    node.Operands[i] = node.Operands[i].Resolve();
                }

                if (node.Op == Op.Branch && facts.TryGetValue((node.Condition, KeyOf(node.Operands[0], node.Operands[1])), out var known))
                {
                    // ControlFlow folds the branch on two constants.
                    node.Condition = Condition.Equal;
                    node.With(Node.Const(IrType.I32, known ? 1 : 0), Node.Const(IrType.I32, 1));
                    changed = true;
                }
                else if (node.Op is >= Op.Add and <= Op.Compare && node.Replacement is null)
                {
                    var key = KeyOf(node);
                    if (values.TryGetValue(key, out var earlier))
                    {
                        node.Replacement = earlier;
                        changed = true;
                    }
                    else
                    {
                        values.Add(key, node);
                        addedValues.Add(key);
                    }
                }
            }

            stack.Push((index, addedValues, addedFacts));
            foreach (var child in dominators.Children[index])
            {
                stack.Push((child, null, null));
            }
        }

        if (changed)
        {
            function.ApplyReplacements();
        }

        return changed;
    }

    /// <summary>What the branch that leads here, and nothing else does, has established.</summary>
    private static void Learn(Block block, Dictionary<(Condition, Key), bool> facts, List<(Condition, Key)> added)
    {
        if (block.Predecessors.Count != 1 || block.Predecessors[0].Terminator is not { Op: Op.Branch } branch || branch.Targets[0] == branch.Targets[1])
        {
            return;
        }

        var holds = branch.Targets[0] == block;
        var key = KeyOf(branch.Operands[0], branch.Operands[1]);
        Add(branch.Condition, holds);
        Add(branch.Condition.Negate(), !holds);

        void Add(Condition condition, bool value)
        {
            if (facts.TryAdd((condition, key), value))
            {
                added.Add((condition, key));
            }
        }
    }

    private static Key KeyOf(Node node) => new(
        node.Op, node.Type, node.Op == Op.Compare ? (long)node.Condition : node.Immediate, Operand(node.Operands[0]), node.Operands.Count > 1 ? Operand(node.Operands[1]) : null);

    private static Key KeyOf(Node a, Node b) => new(Op.Branch, a.Type, 0, Operand(a), Operand(b));

    /// <summary>Constants compare by value, everything else by identity.</summary>
    private static object Operand(Node node) => node.Op switch
    {
        Op.Constant => node.Immediate,
        Op.Map or Op.FrozenObject => node.Payload!,
        Op.MapValue => (node.Payload!, node.Immediate),
        _ => node,
    };

    private readonly record struct Key(Op Op, IrType Type, long Immediate, object A, object? B);
}
