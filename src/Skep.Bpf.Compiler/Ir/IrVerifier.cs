using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Diagnostics;

namespace Skep.Bpf.Compiler.Ir;

/// <summary>Checks the invariants of the SSA form; runs after every pass, so that a broken pass is named at once.</summary>
internal static class IrVerifier
{
    public static void Check(Function function, string pass)
    {
        var blocks = new HashSet<Block>(function.Blocks);
        var dominators = new Dominators(function);
        var position = new Dictionary<Node, int>();
        foreach (var block in function.Blocks)
        {
            for (var i = 0; i < block.Nodes.Count; i++)
            {
                position[block.Nodes[i]] = i;
                if (block.Nodes[i].Block != block)
                {
                    Fail($"{block.Nodes[i]} does not know its block {block}");
                }

            }
        }

        foreach (var block in function.Blocks)
        {
            if (!block.IsTerminated || !block.Successors.All(blocks.Contains))
            {
                Fail($"{block} has no terminator, or goes to a removed block");
            }

            var inPhis = true;
            for (var i = 0; i < block.Nodes.Count; i++)
            {
                var node = block.Nodes[i];
                if (node.IsTerminator != (i == block.Nodes.Count - 1))
                {
                    Fail($"terminator inside {block}: {node}");
                }

                if (node.Op == Op.Phi)
                {
                    if (!inPhis || node.Operands.Count != node.Targets.Count || node.Targets.Count != block.Predecessors.Count
                        || !node.Targets.All(block.Predecessors.Contains))
                    {
                        Fail($"{node} stands after other instructions, or does not match the predecessors of {block}: {string.Join(", ", block.Predecessors)}");
                    }
                }
                else
                {
                    inPhis = false;
                }

                for (var o = 0; o < node.Operands.Count; o++)
                {
                    var operand = node.Operands[o];
                    if (operand.IsLeaf)
                    {
                        continue;
                    }

                    var ok = position.TryGetValue(operand, out var place)
                        && (node.Op == Op.Phi
                            ? dominators.Dominates(operand.Block!, node.Targets[o])
                            : operand.Block == block ? place < i : dominators.Dominates(operand.Block!, block));
                    if (!ok)
                    {
                        Fail($"{node} in {block} uses {operand} of {operand.Block}, which does not stand there or does not dominate it");
                    }
                }
            }
        }

        void Fail(string what) => throw new CompileException(
            Rule.Internal, $"compiler fault after {pass}: {what}\n{IrPrinter.Print(function)}", new SourcePosition(function.Name, 0, 0));
    }
}
