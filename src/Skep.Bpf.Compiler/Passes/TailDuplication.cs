using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Passes;

/// <summary>
/// Copies a small block that only tests a stack slot into predecessors that have just stored to that slot and then jump to it.
/// That is the shape of an inlined method that returns true and false from several places and is then tested:
/// after promotion each copy tests a constant and disappears. Runs before promotion, where no value crosses blocks except through memory.
/// </summary>
internal sealed class TailDuplication : IPass
{
    private const int MostNodes = 8;

    public string Why => "methods that return constants from several places, and are tested by their caller, become jumps";

    public bool Run(Function function)
    {
        var changed = false;
        var usedOutside = UsedOutside(function);

        // Later blocks first: a chain of calls that pass a result upwards is resolved from the outside in.
        for (var b = function.Blocks.Count - 1; b > 0; b--)
        {
            var block = function.Blocks[b];
            if (!IsSmallTest(block) || usedOutside.Contains(block))
            {
                continue;
            }

            foreach (var predecessor in block.Predecessors.ToArray())
            {
                if (predecessor == block || predecessor.Terminator.Op != Op.Jump || !StoresTestedSlot(predecessor, block))
                {
                    continue;
                }

                Duplicate(block, predecessor);
                changed = true;
            }
        }

        if (changed)
        {
            function.Normalize();
        }

        return changed;
    }

    private static bool IsSmallTest(Block block)
    {
        if (block.Predecessors.Count < 2 || block.Nodes.Count > MostNodes || block.Terminator.Op is not (Op.Branch or Op.Switch or Op.Jump or Op.Return))
        {
            return false;
        }

        var loads = 0;
        foreach (var node in block.Nodes)
        {
            switch (node.Op)
            {
                case Op.Load when node.Operands[0].Op == Op.Alloca:
                    loads++;
                    break;
                case Op.Store when node.Operands[0].Op == Op.Alloca:
                case Op.Compare or Op.Truncate or Op.ZeroExtend or Op.SignExtend or Op.And or Op.Xor:
                    break;
                default:
                    if (!node.IsTerminator)
                    {
                        return false;
                    }

                    break;
            }
        }

        return loads > 0;
    }

    /// <summary>Blocks with a value that another block uses. A copy uses no value of a block that the original did not use.</summary>
    private static HashSet<Block> UsedOutside(Function function)
    {
        var used = new HashSet<Block>();
        foreach (var block in function.Blocks)
        {
            foreach (var node in block.Nodes)
            {
                foreach (var operand in node.Operands)
                {
                    if (operand.Block is { } home && home != block)
                    {
                        used.Add(home);
                    }
                }
            }
        }

        return used;
    }

    private static bool StoresTestedSlot(Block predecessor, Block block)
    {
        foreach (var load in block.Nodes)
        {
            if (load.Op != Op.Load)
            {
                continue;
            }

            for (var i = predecessor.Nodes.Count - 1; i >= 0; i--)
            {
                var store = predecessor.Nodes[i];
                if (store.Op == Op.Store && store.Operands[0] == load.Operands[0] && store.Immediate == load.Immediate)
                {
                    if (store.Operands[1].IsLeaf)
                    {
                        return true;
                    }

                    break;
                }
            }
        }

        return false;
    }

    private static void Duplicate(Block block, Block predecessor)
    {
        predecessor.Nodes.RemoveAt(predecessor.Nodes.Count - 1);
        var copies = new Dictionary<Node, Node>();
        foreach (var node in block.Nodes)
        {
            var copy = node.Copy(o => copies.GetValueOrDefault(o, o));
            copies[node] = copy;
            predecessor.Append(copy);
        }

        block.Predecessors.Remove(predecessor);
        foreach (var successor in predecessor.Successors)
        {
            if (!successor.Predecessors.Contains(predecessor))
            {
                successor.Predecessors.Add(predecessor);
            }
        }
    }
}
