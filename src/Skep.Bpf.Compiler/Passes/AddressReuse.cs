using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Passes;

/// <summary>
/// A pointer that moves through a loop is read through its moved value with a smaller displacement once that value exists, so that the old one ends there and
/// both share a register. The moved value is the one that loops compare with the end of the packet; the verifier knows both by the same number.
/// </summary>
internal sealed class AddressReuse : IPass
{
    public string Why => "a pointer that walks through a loop needs one register";

    public bool Run(Function function)
    {
        Dominators? dominators = null;
        var changed = false;
        foreach (var phi in function.Blocks.SelectMany(static b => b.Phis).Where(static p => p.Type == IrType.Pointer).ToArray())
        {
            foreach (var moved in phi.Operands.Distinct())
            {
                if (moved is { Op: Op.Add } && moved.Operands[0] == phi && moved.Operands[1].IsConstant)
                {
                    dominators ??= new Dominators(function);
                    changed |= Reuse(function, dominators, phi, moved);
                }
            }
        }

        return changed;
    }

    private static bool Reuse(Function function, Dominators dominators, Node phi, Node moved)
    {
        var changed = false;
        foreach (var block in function.Blocks)
        {
            if (!dominators.Dominates(moved.Block!, block))
            {
                continue;
            }

            var start = block == moved.Block ? block.Nodes.IndexOf(moved) + 1 : 0;
            for (var i = start; i < block.Nodes.Count; i++)
            {
                var node = block.Nodes[i];
                var displacement = node.Immediate - moved.Operands[1].Immediate;
                if (node.Op is Op.Load or Op.Store or Op.Atomic && node.Operands[0] == phi && displacement is >= short.MinValue and <= short.MaxValue)
                {
                    node.Operands[0] = moved;
                    node.Immediate = displacement;
                    changed = true;
                }
            }
        }

        return changed;
    }
}
