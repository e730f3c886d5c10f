using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Passes;

/// <summary>Expands signed division for instruction sets before level 4, without branches: divide magnitudes, then restore the sign.</summary>
internal sealed class SignedDivision : IPass
{
    public string Why => "the target has no signed division";

    public bool Run(Function function)
    {
        var changed = false;
        foreach (var block in function.Blocks)
        {
            for (var i = 0; i < block.Nodes.Count; i++)
            {
                var node = block.Nodes[i];
                if (node.Op is not (Op.DivideSigned or Op.RemainderSigned))
                {
                    continue;
                }

                var expansion = new List<Node>();
                var sign = Node.Const(node.Type, node.Type == IrType.I32 ? 31 : 63);
                var signA = Add(Op.ShiftRightSigned, node.Operands[0], sign);
                var signB = Add(Op.ShiftRightSigned, node.Operands[1], sign);
                var a = Magnitude(node.Operands[0], signA);
                var b = Magnitude(node.Operands[1], signB);
                var isDivision = node.Op == Op.DivideSigned;
                var result = Add(isDivision ? Op.DivideUnsigned : Op.RemainderUnsigned, a, b);

                // The quotient is negative when the signs differ, the remainder when the dividend is.
                var signResult = isDivision ? Add(Op.Xor, signA, signB) : signA;
                node.Replacement = Magnitude(result, signResult);
                block.Nodes.InsertRange(i, expansion);
                i += expansion.Count;
                changed = true;

                Node Add(Op op, Node x, Node y)
                {
                    var added = new Node(op, node.Type) { Block = block, Position = node.Position }.With(x, y);
                    expansion.Add(added);
                    return added;
                }

                Node Magnitude(Node value, Node mask) => Add(Op.Subtract, Add(Op.Xor, value, mask), mask);
            }
        }

        if (changed)
        {
            function.ApplyReplacements();
        }

        return changed;
    }
}
