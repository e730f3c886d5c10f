using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Passes;

/// <summary>
/// Removes masks that cut off nothing and were kept only so that the verifier knows what we know: they are needed where an address, a length or the end of a
/// loop comes of them, and nowhere else. Runs late: earlier passes count on what the verifier knows of a value.
/// </summary>
internal sealed class IdleMasks : IPass
{
    public string Why => "a mask that cuts off nothing is needed only where the verifier must know that";

    public bool Run(Function function)
    {
        var masks = function.Blocks.SelectMany(static b => b.Nodes).Where(CutsNothing).ToArray();
        if (masks.Length == 0)
        {
            return false;
        }

        var bounding = Bounding(function);
        var changed = false;
        foreach (var mask in masks)
        {
            if (!bounding.Contains(mask))
            {
                mask.Replacement = mask.Operands[0];
                changed = true;
            }
        }

        if (changed)
        {
            function.ApplyReplacements();
        }

        return changed;
    }

    private static bool CutsNothing(Node node) => node.Op == Op.And && node.Type != IrType.Pointer && node.Operands[1].IsConstant && node.Operands[0].Type == node.Type
        && (KnownBits.PossibleBits(node.Operands[0]) & ~(ulong)node.Operands[1].Immediate) == 0;

    /// <summary>What the verifier must know the bounds of, and all that it is computed from.</summary>
    internal static HashSet<Node> Bounding(Function function)
    {
        var bounding = new HashSet<Node>();
        var work = new Stack<Node>();
        foreach (var node in function.Blocks.SelectMany(static b => b.Nodes))
        {
            for (var i = 0; i < node.Operands.Count; i++)
            {
                if (IsBounding(node, i) && bounding.Add(node.Operands[i]))
                {
                    work.Push(node.Operands[i]);
                }
            }
        }

        while (work.TryPop(out var node))
        {
            // What comes from memory is known by its width alone.
            foreach (var operand in node.Op is >= Op.Add and <= Op.Phi ? node.Operands : [])
            {
                if (bounding.Add(operand))
                {
                    work.Push(operand);
                }
            }
        }

        return bounding;
    }

    private static bool IsBounding(Node node, int operand) => node.Op switch
    {
        Op.Load => true,
        Op.Store or Op.Atomic => operand == 0 || (node.Size >= 4 && Aliasing.BaseOf(node.Operands[0]).Op == Op.Alloca),
        Op.Compare or Op.Branch => !node.Operands[1 - operand].IsConstant,
        Op.Switch or Op.Jump or Op.MayLoop => false,
        Op.Call or Op.Return or Op.ArenaCast or Op.Forget => true,
        _ => node.Type == IrType.Pointer,
    };
}
