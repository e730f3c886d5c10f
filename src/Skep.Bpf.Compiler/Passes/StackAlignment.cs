using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Passes;

/// <summary>The verifier wants accesses to the stack aligned, always; packets and map values may be read anywhere. Cuts the others into pieces that are.</summary>
internal sealed class StackAlignment : IPass
{
    public string Why => "the stack is accessed at aligned places only";

    public bool Run(Function function)
    {
        var changed = false;
        foreach (var block in function.Blocks)
        {
            for (var i = 0; i < block.Nodes.Count; i++)
            {
                var node = block.Nodes[i];
                if (node.Op is not (Op.Load or Op.Store) || node.Size == 1 || PieceSize(node) is not { } size || size == node.Size)
                {
                    continue;
                }

                var added = node.Op == Op.Load ? Load(node, size) : Store(node, size);
                foreach (var piece in added)
                {
                    piece.Block = block;
                    piece.Position = node.Position;
                }

                if (node.Op == Op.Load)
                {
                    node.Replacement = added[^1];
                    block.Nodes.InsertRange(i, added);
                    i += added.Count;
                }
                else
                {
                    block.Nodes.RemoveAt(i);
                    block.Nodes.InsertRange(i, added);
                    i += added.Count - 1;
                }

                changed = true;
            }
        }

        if (changed)
        {
            function.ApplyReplacements();
        }

        return changed;
    }

    /// <summary>The widest aligned access for a place on the stack; null for other memory.</summary>
    private static int? PieceSize(Node node)
    {
        var possible = (ulong)node.Immediate;
        var address = node.Operands[0];
        while (address.Op == Op.Add)
        {
            possible |= KnownBits.PossibleBits(address.Operands[1]);
            address = address.Operands[0];
        }

        if (address.Op != Op.Alloca)
        {
            return null;
        }

        var size = node.Size;
        while ((possible & (ulong)(size - 1)) != 0)
        {
            size /= 2;
        }

        return size;
    }

    private static List<Node> Load(Node node, int size)
    {
        var added = new List<Node>();
        var wide = node.Size == 8 ? IrType.I64 : IrType.I32;
        Node? whole = null;
        for (var offset = 0; offset < node.Size; offset += size)
        {
            var piece = Add(new Node(Op.Load, IrType.I32) { Size = size, Immediate = node.Immediate + offset }.With(node.Operands[0]));
            piece = wide == IrType.I64 ? Add(new Node(Op.ZeroExtend, IrType.I64).With(piece)) : piece;
            piece = offset == 0 ? piece : Add(new Node(Op.ShiftLeft, wide).With(piece, Node.Const(wide, offset * 8)));
            whole = whole is null ? piece : Add(new Node(Op.Or, wide).With(whole, piece));
        }

        return added;

        Node Add(Node piece)
        {
            added.Add(piece);
            return piece;
        }
    }

    private static List<Node> Store(Node node, int size)
    {
        var added = new List<Node>();
        var value = node.Operands[1];
        for (var offset = 0; offset < node.Size; offset += size)
        {
            var piece = value;
            if (offset > 0)
            {
                piece = new Node(Op.ShiftRightUnsigned, value.Type).With(value, Node.Const(value.Type, offset * 8));
                added.Add(piece);
            }

            added.Add(new Node(Op.Store, IrType.Void) { Size = size, Immediate = node.Immediate + offset }.With(node.Operands[0], piece));
        }

        return added;
    }
}
