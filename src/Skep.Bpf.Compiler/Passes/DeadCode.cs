using Skep.Bpf.Compiler.Emit;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Passes;

/// <summary>Removes what nothing uses: values, and stack slots that are only written.</summary>
internal sealed class DeadCode : IPass
{
    public string Why => "what nothing reads is not computed";

    public bool Run(Function function)
    {
        var count = function.Number();
        var read = ReadSlots(function, count);
        var live = new BitSet(count);
        var work = new Stack<Node>();
        foreach (var block in function.Blocks)
        {
            foreach (var node in block.Nodes)
            {
                if (node.HasEffect && !(node.Op == Op.Store && SlotOf(node.Operands[0]) is { } slot && !read.Contains(slot.Id)) && live.Add(node.Id))
                {
                    work.Push(node);
                }
            }
        }

        while (work.TryPop(out var node))
        {
            foreach (var operand in node.Operands)
            {
                // What has no number is a leaf, and stands nowhere.
                if (operand.Id >= 0 && live.Add(operand.Id))
                {
                    work.Push(operand);
                }
            }
        }

        var removed = 0;
        foreach (var block in function.Blocks)
        {
            removed += block.Nodes.RemoveAll(n => !live.Contains(n.Id));
        }

        function.Allocas.RemoveAll(a => !live.Contains(a.Id));
        return removed > 0;
    }

    private static BitSet ReadSlots(Function function, int count)
    {
        var read = new BitSet(count);
        foreach (var block in function.Blocks)
        {
            foreach (var node in block.Nodes)
            {
                var operands = node.Operands;
                for (var i = 0; i < operands.Count; i++)
                {
                    if ((node.Op != Op.Store || i != 0) && node.Op != Op.Add && SlotOf(operands[i]) is { } slot)
                    {
                        read.Add(slot.Id);
                    }

                    // A sum with anything but a constant may be used in any way.
                    if (node.Op == Op.Add && operands[i].Op == Op.Alloca && !operands[1].IsConstant)
                    {
                        read.Add(operands[i].Id);
                    }
                }
            }
        }

        return read;
    }

    private static Node? SlotOf(Node address) => address.Op switch
    {
        Op.Alloca => address,
        Op.Add when address.Operands[0].Op == Op.Alloca && address.Operands[1].IsConstant => address.Operands[0],
        _ => null,
    };
}
