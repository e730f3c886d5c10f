using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Passes;

/// <summary>Removes branches that are decided, blocks that are empty, and joins straight lines.</summary>
internal sealed class ControlFlow : IPass
{
    public string Why => "decided branches, empty blocks and straight lines go";

    public bool Run(Function function)
    {
        var changed = false;
        for (var again = true; again;)
        {
            again = false;
            foreach (var block in function.Blocks)
            {
                again |= FoldTerminator(block);
            }

            function.Normalize();
            var merged = false;
            foreach (var block in function.Blocks)
            {
                merged |= Merge(block);
            }

            if (merged)
            {
                function.Normalize();
            }

            var bypassed = false;
            foreach (var block in function.Blocks)
            {
                bypassed |= Bypass(function, block);
            }

            if (bypassed)
            {
                function.Normalize();
            }

            again |= merged || bypassed;
            changed |= again;
        }

        return changed;
    }

    private static bool FoldTerminator(Block block)
    {
        var end = block.Terminator;
        Block? taken = null;
        if (end.Op == Op.Branch)
        {
            taken = end.Targets[0] == end.Targets[1]
                ? end.Targets[0]
                : Simplifier.Decide(end.Condition, end.Operands[0], end.Operands[1]) is { } known ? end.Targets[known ? 0 : 1] : null;
        }
        else if (end.Op == Op.Switch && end.Operands[0].IsConstant)
        {
            taken = end.Targets[(int)Math.Min((ulong)end.Operands[0].Immediate, (ulong)end.Targets.Count - 1)];
        }

        if (taken is null)
        {
            return false;
        }

        foreach (var other in end.Targets.Distinct())
        {
            if (other != taken)
            {
                other.RemoveIncoming(block);
            }
        }

        end.Op = Op.Jump;
        end.With();
        end.Targets.Clear();
        end.Targets.Add(taken);
        return true;
    }

    private static bool Merge(Block block)
    {
        if (!block.IsTerminated || block.Terminator.Op != Op.Jump)
        {
            return false;
        }

        var next = block.Terminator.Targets[0];
        if (next == block || next.Predecessors.Count != 1 || next.Predecessors[0] != block || next.Nodes[0].Op == Op.Phi)
        {
            return false;
        }

        block.Nodes.RemoveAt(block.Nodes.Count - 1);
        foreach (var node in next.Nodes)
        {
            block.Append(node);
        }

        foreach (var successor in next.Successors.Distinct())
        {
            successor.ReplaceIncoming(next, block);
            var index = successor.Predecessors.IndexOf(next);
            if (index >= 0)
            {
                successor.Predecessors[index] = block;
            }
        }

        next.Nodes = [];
        next.Predecessors.Clear();
        return true;
    }

    /// <summary>Sends the predecessors of a block that only jumps straight to where it jumps.</summary>
    private static bool Bypass(Function function, Block block)
    {
        if (block == function.Entry || block.Nodes.Count != 1 || block.Terminator.Op != Op.Jump || block.Terminator.Targets[0] == block)
        {
            return false;
        }

        var target = block.Terminator.Targets[0];
        var phis = target.Phis.ToArray();
        var changed = false;
        foreach (var predecessor in block.Predecessors.ToArray())
        {
            // A second edge from the same predecessor would need a second value in the phis.
            if (predecessor == block || (phis.Length > 0 && target.Predecessors.Contains(predecessor)))
            {
                continue;
            }

            var targets = predecessor.Terminator.Targets;
            for (var i = 0; i < targets.Count; i++)
            {
                if (targets[i] == block)
                {
                    targets[i] = target;
                }
            }

            foreach (var phi in phis)
            {
                phi.AddOperand(phi.Operands[phi.Targets.IndexOf(block)]);
                phi.Targets.Add(predecessor);
            }

            target.Predecessors.Add(predecessor);
            block.Predecessors.Remove(predecessor);
            changed = true;
        }

        return changed;
    }
}
