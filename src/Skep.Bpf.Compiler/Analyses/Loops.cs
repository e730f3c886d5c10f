using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Analyses;

/// <summary>Natural loops, for spill costs.</summary>
internal static class Loops
{
    /// <summary>Sets the loop depth of every block.</summary>
    public static void Annotate(Function function)
    {
        var dominators = new Dominators(function);
        foreach (var block in function.Blocks)
        {
            block.LoopDepth = 0;
        }

        foreach (var header in function.Blocks)
        {
            var body = new HashSet<Block>();
            var work = new Stack<Block>(header.Predecessors.Where(p => dominators.Dominates(header, p)));
            if (work.Count == 0)
            {
                continue;
            }

            body.Add(header);
            while (work.Count > 0)
            {
                var block = work.Pop();
                if (body.Add(block))
                {
                    block.Predecessors.ForEach(work.Push);
                }
            }

            foreach (var block in body)
            {
                block.LoopDepth++;
            }
        }
    }
}
