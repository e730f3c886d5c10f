using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Analyses;

/// <summary>
/// Finds variables on the stack that hold something of the kernel (a reserved record, an iterator) at the end of a path, or are filled while they do. The
/// verifier would say "Unreleased reference id=2"; here the line that took it is known.
/// </summary>
internal static class StackObjects
{
    /// <exception cref="CompileException">Something is not given back.</exception>
    public static void Check(Function function)
    {
        var openers = function.Blocks.SelectMany(static b => b.Nodes).Where(static n => n is { Op: Op.Call, Payload: HelperCall { Opens: not null } }).ToList();
        if (openers.Count == 0)
        {
            return;
        }

        // What may be open at the end of each block, by variable: the call that opened it.
        var ends = function.Blocks.ToDictionary(static b => b, static _ => new Dictionary<Node, Node>());
        for (var changed = true; changed;)
        {
            changed = false;
            foreach (var block in function.Blocks)
            {
                var open = AtStart(block, ends);
                foreach (var node in block.Nodes)
                {
                    Step(node, open);
                }

                changed |= open.Count != ends[block].Count;
                ends[block] = open;
            }
        }

        foreach (var block in function.Blocks)
        {
            var open = AtStart(block, ends);
            foreach (var node in block.Nodes)
            {
                if (Opened(node) is { } slot && open.TryGetValue(slot, out var before))
                {
                    throw Error(node, before == node ? "is not given back before it is taken again in the next round" : $"is taken into a variable that still holds that of line {before.Position.Line}");
                }

                if (node.Op == Op.Return && open.Count > 0)
                {
                    throw Error(open.First().Value, "is not given back on every path; release it before each return");
                }

                Step(node, open);
            }
        }
    }

    private static Dictionary<Node, Node> AtStart(Block block, Dictionary<Block, Dictionary<Node, Node>> ends)
    {
        var open = new Dictionary<Node, Node>();
        foreach (var (slot, call) in block.Predecessors.SelectMany(p => ends[p]))
        {
            open.TryAdd(slot, call);
        }

        return open;
    }

    private static void Step(Node node, Dictionary<Node, Node> open)
    {
        if (node is not { Op: Op.Call, Payload: HelperCall call })
        {
            return;
        }

        if (Opened(node) is { } slot)
        {
            open[slot] = node;
        }
        else if (call.Closes is { } closed)
        {
            open.Remove(Aliasing.BaseOf(node.Operands[closed]));
        }
        else if (call.Target is not null)
        {
            // Whether a function of the program gives back what it gets by reference is for the verifier to see.
            foreach (var operand in node.Operands)
            {
                open.Remove(Aliasing.BaseOf(operand));
            }
        }
    }

    private static Node? Opened(Node node) =>
        node is { Op: Op.Call, Payload: HelperCall { Opens: { } opened } } && Aliasing.BaseOf(node.Operands[opened]) is { Op: Op.Alloca } slot ? slot : null;

    private static CompileException Error(Node call, string what) => new(Rule.Reference, $"what '{call.Payload}' gives {what}", call.Position);
}
