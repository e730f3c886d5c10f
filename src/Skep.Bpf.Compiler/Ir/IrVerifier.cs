using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Diagnostics;

namespace Skep.Bpf.Compiler.Ir;

/// <summary>Checks the invariants of the SSA form, and names the pass after which they do not hold.</summary>
internal static class IrVerifier
{
    public static void Check(Function function, string pass)
    {
        var dominators = new Dominators(function);

        // By the number of the value: who stands there, and as which of its block.
        var count = function.Number();
        var (standing, position) = (new Node[count], new int[count]);
        foreach (var block in function.Blocks)
        {
            for (var i = 0; i < block.Nodes.Count; i++)
            {
                var node = block.Nodes[i];
                (standing[node.Id], position[node.Id]) = (node, i);
                if (node.Block != block)
                {
                    Fail($"{node} does not know its block {block}");
                }
            }
        }

        foreach (var block in function.Blocks)
        {
            if (!block.IsTerminated || !block.Successors.TrueForAll(IsPresent))
            {
                Fail($"{block} has no terminator, or goes to a removed block");
            }

            var inPhis = true;
            var nodes = block.Nodes;
            for (var i = 0; i < nodes.Count; i++)
            {
                var node = nodes[i];
                if (node.IsTerminator != (i == nodes.Count - 1))
                {
                    Fail($"terminator inside {block}: {node}");
                }

                if (node.Op == Op.Phi)
                {
                    if (!inPhis || node.Operands.Count != node.Targets.Count || node.Targets.Count != block.Predecessors.Count
                        || !node.Targets.TrueForAll(block.Predecessors.Contains))
                    {
                        Fail($"{node} stands after other instructions, or does not match the predecessors of {block}: {string.Join(", ", block.Predecessors)}");
                    }
                }
                else
                {
                    inPhis = false;
                }

                var operands = node.Operands;
                for (var o = 0; o < operands.Count; o++)
                {
                    var operand = operands[o];
                    if (operand.IsLeaf)
                    {
                        continue;
                    }

                    var ok = (uint)operand.Id < (uint)count && standing[operand.Id] == operand
                        && (node.Op == Op.Phi
                            ? dominators.Dominates(operand.Block!, node.Targets[o])
                            : operand.Block == block ? position[operand.Id] < i : dominators.Dominates(operand.Block!, block));
                    if (!ok)
                    {
                        Fail($"{node} in {block} uses {operand} of {operand.Block}, which does not stand there or does not dominate it");
                    }
                }
            }
        }

        bool IsPresent(Block block) => block.Index < function.Blocks.Count && function.Blocks[block.Index] == block;

        void Fail(string what) => throw new CompileException(
            Rule.Internal, $"compiler fault after {pass}: {what}\n{IrPrinter.Print(function)}", new SourcePosition(function.Name, 0, 0));
    }
}
