using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>
/// Remembers constants and addresses that were stored to a stack slot a few instructions before: lengths of spans, fields of small structs.
/// The optimiser would find them too, but then code behind conditions on them would have been translated for nothing, and what must be
/// constant at translation (the length of a comparison) would not be.
/// </summary>
internal static class StraightLine
{
    private const int Farthest = 400;

    public static Node? Recall(Builder builder, Node address, long displacement, int size, IrType type)
    {
        var slot = Aliasing.BaseOf(address);
        if (slot.Op != Op.Alloca)
        {
            return null;
        }

        var offset = displacement + Aliasing.OffsetOf(address);
        var steps = 0;
        for (var block = builder.Current; block is not null; block = builder.OnlyPredecessor(block))
        {
            for (var i = block.Nodes.Count - 1; i >= 0; i--)
            {
                var node = block.Nodes[i];
                if (node.Op is not (Op.Store or Op.Atomic or Op.Call))
                {
                    continue;
                }

                if (++steps > Farthest)
                {
                    return null;
                }

                if (node.Op == Op.Store && Aliasing.BaseOf(node.Operands[0]) == slot)
                {
                    var start = node.Immediate + Aliasing.OffsetOf(node.Operands[0]);
                    if (start == offset && node.Size == size)
                    {
                        return Value(node.Operands[1], size, type);
                    }

                    if (start < offset + size && offset < start + node.Size)
                    {
                        return null;
                    }
                }
                else if (node.Op == Op.Call ? node.Operands.Exists(o => MayBeStack(builder, o, slot)) : MayBeStack(builder, node.Operands[0], slot))
                {
                    return null;
                }
            }
        }

        return null;
    }

    private static Node? Value(Node stored, int size, IrType type)
    {
        if (stored.IsConstant)
        {
            var value = size == 8 ? stored.Immediate : (long)((ulong)stored.Immediate & ((1UL << (size * 8)) - 1));
            return stored.Type == type || (stored.Type != IrType.I32 && type != IrType.I32) || size < 8 ? Frozen.IsKnown(stored) ? stored : Node.Const(type, value) : null;
        }

        return stored.IsLeaf && stored.Type == type && size == 8 ? stored : null;
    }

    /// <summary>Whether an operand can be the address of the slot, or of anything inside.</summary>
    private static bool MayBeStack(Builder builder, Node operand, Node slot)
    {
        if (operand.Type != IrType.Pointer)
        {
            return false;
        }

        while (operand.Op is Op.Add or Op.Subtract)
        {
            operand = operand.Operands[0];
        }

        return operand.Op switch
        {
            Op.Alloca => operand == slot,
            Op.Context or Op.Map or Op.MapValue or Op.Constant => false,
            Op.Call => false,
            _ => builder.IsExposed(slot) && operand.Provenance is Provenance.None or Provenance.Stack,
        };
    }
}
