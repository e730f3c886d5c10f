using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Compiler.Emit;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Analyses;

/// <summary>
/// Finds uses of packet pointers obtained before a helper that may move the packet. The verifier would refuse them with
/// "R1 invalid mem access 'scalar'"; here the line and the mend are known.
/// </summary>
internal static class StalePointers
{
    /// <exception cref="CompileException">A stale pointer is used.</exception>
    public static void Check(Function function)
    {
        if (!function.Blocks.Exists(static b => b.Nodes.Exists(static n => n.ClobbersPacket)))
        {
            return;
        }

        // Valid pointers at the end of each block: all at first, then only fewer.
        var count = function.Number();
        var aliasing = new Aliasing(function);
        var end = function.Blocks.ToDictionary(static b => b, _ => All(count));
        for (var changed = true; changed;)
        {
            changed = false;
            foreach (var block in function.Blocks)
            {
                var valid = AtStart(block, end, count);
                foreach (var node in block.Nodes)
                {
                    Step(node, valid, aliasing);
                }

                changed |= !valid.SequenceEqual(end[block]);
                end[block] = valid;
            }
        }

        foreach (var block in function.Blocks)
        {
            var valid = AtStart(block, end, count);
            foreach (var node in block.Nodes)
            {
                for (var i = 0; i < node.Operands.Count; i++)
                {
                    var operand = node.Operands[i];
                    var at = node.Op == Op.Phi ? end[node.Targets[i]] : valid;

                    // A phi that merges a stale pointer is itself stale; its use is what counts.
                    if (node.Op != Op.Phi && IsPacket(operand, aliasing) && !at.Contains(operand.Id))
                    {
                        throw new CompileException(
                            Rule.StalePointer,
                            "a pointer into the packet is used after a helper that may have moved the packet; read context.Data and context.DataEnd again after the call and check the bounds anew",
                            node.Position);
                    }
                }

                Step(node, valid, aliasing);
            }
        }
    }

    private static bool IsPacket(Node node, Aliasing aliasing) =>
        node.Type == IrType.Pointer && !node.IsLeaf && aliasing.Of(node) is Provenance.Packet or Provenance.PacketEnd or Provenance.PacketMeta;

    private static BitSet All(int count)
    {
        var all = new BitSet(count);
        for (var i = 0; i < count; i++)
        {
            all.Add(i);
        }

        return all;
    }

    private static BitSet AtStart(Block block, Dictionary<Block, BitSet> end, int count)
    {
        if (block.Predecessors.Count == 0)
        {
            return new BitSet(count);
        }

        var valid = new BitSet(end[block.Predecessors[0]]);
        foreach (var predecessor in block.Predecessors)
        {
            valid.IntersectWith(end[predecessor]);
        }

        // A phi is as valid as all that flows into it.
        foreach (var phi in block.Phis)
        {
            var ok = true;
            for (var i = 0; i < phi.Operands.Count; i++)
            {
                ok &= phi.Operands[i].IsLeaf || end[phi.Targets[i]].Contains(phi.Operands[i].Id);
            }

            if (ok)
            {
                valid.Add(phi.Id);
            }
            else
            {
                valid.Remove(phi.Id);
            }
        }

        return valid;
    }

    private static void Step(Node node, BitSet valid, Aliasing aliasing)
    {
        if (node.ClobbersPacket)
        {
            valid.Clear();
        }

        if (node.Op == Op.Phi)
        {
            return;
        }

        // Sums of a stale pointer are stale; anything else is fresh.
        if (IsPacket(node, aliasing) && node.Op is Op.Add or Op.Subtract && !valid.Contains(node.Operands[0].Id))
        {
            valid.Remove(node.Id);
        }
        else if (node.Type != IrType.Void)
        {
            valid.Add(node.Id);
        }
    }
}
