using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Passes;

/// <summary>Rewrites every instruction by the local rules until nothing changes.</summary>
internal sealed class Simplification : IPass
{
    public string Why => "constants, identities and canonical forms";

    public bool Run(Function function)
    {
        var changed = false;
        for (var again = true; again;)
        {
            again = false;
            FindCompared(function);
            foreach (var block in function.Blocks)
            {
                for (var i = 0; i < block.Nodes.Count; i++)
                {
                    var node = block.Nodes[i];
                    ResolveOperands(node);
                    var better = Simplifier.Simplify(node);
                    if (better is null || better == node)
                    {
                        continue;
                    }

                    if (better.Block is null && !better.IsLeaf)
                    {
                        better.Position = node.Position;
                        better.Block = block;
                        block.Nodes.Insert(i, better);
                        i++;
                    }

                    better.IsCompared |= node.IsCompared;
                    better.IsComparedByHalf |= node.IsComparedByHalf;
                    node.Replacement = better;
                    again = true;
                }
            }

            if (again)
            {
                function.ApplyReplacements();
                changed = true;
            }
        }

        return changed;
    }

    private static void FindCompared(Function function)
    {
        foreach (var node in function.Blocks.SelectMany(static b => b.Nodes))
        {
            node.IsCompared = false;
            node.IsComparedByHalf = false;
        }

        foreach (var node in function.Blocks.SelectMany(static b => b.Nodes).Where(static n => n.Op is Op.Branch or Op.Compare))
        {
            foreach (var operand in node.Operands)
            {
                var compared = operand.Resolve();
                while (compared.Op is Op.ZeroExtend or Op.SignExtend or Op.Truncate)
                {
                    var isHalf = compared.Op == Op.Truncate;
                    compared = compared.Operands[0].Resolve();
                    compared.IsComparedByHalf |= isHalf;
                }

                compared.IsCompared = true;
            }
        }
    }

    private static void ResolveOperands(Node node)
    {
        for (var i = 0; i < node.Operands.Count; i++)
        {
            node.Operands[i] = node.Operands[i].Resolve();
        }
    }
}
