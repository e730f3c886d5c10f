using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Passes;

/// <summary>Removes what nothing uses: values, and stack slots that are only written.</summary>
internal sealed class DeadCode : IPass
{
    public string Why => "what nothing reads is not computed";

    public bool Run(Function function)
    {
        var read = ReadSlots(function);
        var live = new HashSet<Node>();
        var work = new Stack<Node>();
        foreach (var block in function.Blocks)
        {
            foreach (var node in block.Nodes)
            {
                if (node.HasEffect && !(node.Op == Op.Store && SlotOf(node.Operands[0]) is { } slot && !read.Contains(slot)) && live.Add(node))
                {
                    work.Push(node);
                }
            }
        }

        while (work.Count > 0)
        {
            foreach (var operand in work.Pop().Operands)
            {
                if (live.Add(operand))
                {
                    work.Push(operand);
                }
            }
        }

        var removed = 0;
        foreach (var block in function.Blocks)
        {
            removed += block.Nodes.RemoveAll(n => !live.Contains(n));
        }

        function.Allocas.RemoveAll(a => !live.Contains(a));
        return removed > 0;
    }

    private static HashSet<Node> ReadSlots(Function function)
    {
        var read = new HashSet<Node>();
        foreach (var block in function.Blocks)
        {
            foreach (var node in block.Nodes)
            {
                for (var i = 0; i < node.Operands.Count; i++)
                {
                    if ((node.Op != Op.Store || i != 0) && node.Op != Op.Add && SlotOf(node.Operands[i]) is { } slot)
                    {
                        read.Add(slot);
                    }

                    // A sum with anything but a constant may be used in any way.
                    if (node.Op == Op.Add && node.Operands[i].Op == Op.Alloca && !node.Operands[1].IsConstant)
                    {
                        read.Add(node.Operands[i]);
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
