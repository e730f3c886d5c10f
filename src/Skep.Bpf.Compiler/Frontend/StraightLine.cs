using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>
/// Remembers constants and addresses that were stored to a stack slot a few instructions before, on every way that leads here: lengths of spans,
/// fields of small structs. The optimiser would find them too, but then code behind conditions on them would have been translated for nothing, and
/// what must be constant at translation (the length of a comparison) would not be.
/// </summary>
internal static class StraightLine
{
    /// <summary>Stores and blocks that are looked at.</summary>
    private const int Farthest = 400;

    public static Node? Recall(Builder builder, Node address, long displacement, int size, IrType type)
    {
        var slot = Aliasing.BaseOf(address);
        return slot.Op == Op.Alloca
            ? new Search(builder, slot, displacement + Aliasing.OffsetOf(address), size, type).From(builder.Current)
            : null;
    }

    private sealed class Search(Builder builder, Node slot, long offset, int size, IrType type)
    {
        private Dictionary<Block, Node?>? _joins;
        private int _steps;

        /// <summary>What the slot holds at the end of a block, as it is so far.</summary>
        public Node? From(Block block)
        {
            while (true)
            {
                if (Last(block, out var found))
                {
                    return found;
                }

                switch (builder.Predecessors(block))
                {
                    case [var only]:
                        block = only;
                        break;
                    case { Count: > 1 } before:
                        return Meet(block, before);
                    default:
                        return null;
                }
            }
        }

        private Node? Meet(Block block, IReadOnlyList<Block> before)
        {
            _joins ??= [];
            if (_joins.TryGetValue(block, out var known))
            {
                return known;
            }

            var met = From(before[0]);
            for (var i = 1; i < before.Count && met is not null; i++)
            {
                met = before[i] != before[i - 1] && From(before[i]) is var other && !IsSame(met, other) ? null : met;
            }

            return _joins[block] = met;
        }

        /// <summary>Whether the block decides what the slot holds; null when that is not known.</summary>
        private bool Last(Block block, out Node? found)
        {
            found = null;
            if (++_steps > Farthest)
            {
                return true;
            }

            for (var i = block.Nodes.Count - 1; i >= 0; i--)
            {
                var node = block.Nodes[i];
                if (node.Op is not (Op.Store or Op.Atomic or Op.Call))
                {
                    continue;
                }

                if (++_steps > Farthest)
                {
                    return true;
                }

                if (node.Op == Op.Store && Aliasing.BaseOf(node.Operands[0]) == slot)
                {
                    var start = node.Immediate + Aliasing.OffsetOf(node.Operands[0]);
                    if (start == offset && node.Size == size)
                    {
                        found = Value(node.Operands[1], size, type);
                        return true;
                    }

                    if (start < offset + size && offset < start + node.Size)
                    {
                        return true;
                    }
                }
                else if (node.Op == Op.Call ? node.Operands.Exists(o => MayBeStack(builder, o, slot)) : MayBeStack(builder, node.Operands[0], slot))
                {
                    return true;
                }
            }

            return false;
        }

        private static bool IsSame(Node a, Node? b) => a == b || (b is { IsConstant: true } && a.IsConstantValue(b.Immediate) && a.Type == b.Type);
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
