using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Analyses;

/// <summary>
/// Checks that the result of a tail call is returned at once. In the process the program that was called comes back, in the kernel it does not:
/// whatever stood after the call would be done on one side only.
/// </summary>
internal static class TailCalls
{
    /// <exception cref="CompileException">Something is done after a tail call, or its result is not what the function returns.</exception>
    public static void Check(Function function)
    {
        foreach (var block in function.Blocks)
        {
            for (var i = 0; i < block.Nodes.Count; i++)
            {
                if (block.Nodes[i] is { Op: Op.Call, Payload: HelperCall { IsTailCall: true } } call && !Returns(block, i + 1, [call], []))
                {
                    throw new CompileException(
                        Rule.TailCall,
                        "something is done after a tail call, or its result is changed or tested; in the kernel the call does not come back, so return its result at once: return next.Call(...)",
                        call.Position);
                }
            }
        }
    }

    /// <summary>Whether every path from here returns one of the values that equal the result, and has no effect before.</summary>
    private static bool Returns(Block block, int from, HashSet<Node> equal, HashSet<Block> path)
    {
        for (var i = from; i < block.Nodes.Count; i++)
        {
            var node = block.Nodes[i];
            if (node.Op == Op.Return)
            {
                return node.Operands.Count == 1 && equal.Contains(node.Operands[0]);
            }

            if (node.HasEffect && !node.IsTerminator && !(node.Op == Op.Store && Aliasing.BaseOf(node.Operands[0]).Op == Op.Alloca))
            {
                return false;
            }
        }

        return path.Add(block) && block.Terminator.Op is Op.Jump or Op.Branch or Op.Switch
            && block.Successors.Distinct().All(next => Returns(
                next, 0, [.. equal, .. next.Phis.Where(p => equal.Contains(p.Operands[p.Targets.IndexOf(block)]))], [.. path]));
    }
}
