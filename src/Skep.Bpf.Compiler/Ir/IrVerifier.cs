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
                Require(block.Nodes[i].Block == block, $"{block.Nodes[i]} does not know its block {block}");
            }
        }

        foreach (var block in function.Blocks)
        {
            Require(block.IsTerminated, $"{block} has no terminator");
            Require(block.Successors.All(blocks.Contains), $"{block} goes to a removed block");
            var inPhis = true;
            for (var i = 0; i < block.Nodes.Count; i++)
            {
                var node = block.Nodes[i];
                Require(node.IsTerminator == (i == block.Nodes.Count - 1), $"terminator inside {block}: {node}");
                if (node.Op == Op.Phi)
                {
                    Require(inPhis, $"phi after other instructions in {block}");
                    Require(
                        node.Operands.Count == node.Targets.Count && node.Targets.Count == block.Predecessors.Count && node.Targets.All(block.Predecessors.Contains),
                        $"{node} does not match the predecessors of {block}: {string.Join(", ", block.Predecessors)}");
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

                    Require(position.ContainsKey(operand), $"{node} uses {operand}, which stands nowhere");
                    var ok = node.Op == Op.Phi
                        ? dominators.Dominates(operand.Block!, node.Targets[o])
                        : operand.Block == block ? position[operand] < i : dominators.Dominates(operand.Block!, block);
                    Require(ok, $"{node} in {block} uses {operand} of {operand.Block}, which does not dominate it");
                }
            }
        }

        void Require(bool holds, string what)
        {
            if (!holds)
            {
                throw new CompileException(
                    Rule.Internal, $"compiler fault after {pass}: {what}\n{IrPrinter.Print(function)}", new SourcePosition(function.Name, 0, 0));
            }
        }
    }
}
