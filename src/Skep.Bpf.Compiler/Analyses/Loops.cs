using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Analyses;

/// <summary>Natural loops.</summary>
internal static class Loops
{
    /// <summary>The loops of a function, those of one header taken together.</summary>
    public static List<Loop> Find(Function function)
    {
        var dominators = new Dominators(function);
        var loops = new List<Loop>();
        foreach (var header in function.Blocks)
        {
            var work = new Stack<Block>(header.Predecessors.Where(p => dominators.Dominates(header, p)));
            if (work.Count == 0)
            {
                continue;
            }

            var body = new HashSet<Block> { header };
            while (work.Count > 0)
            {
                var block = work.Pop();
                if (body.Add(block))
                {
                    foreach (var predecessor in block.Predecessors)
                    {
                        work.Push(predecessor);
                    }
                }
            }

            loops.Add(new Loop(header, body));
        }

        return loops;
    }

    /// <summary>Sets the loop depth of every block.</summary>
    public static void Annotate(Function function)
    {
        foreach (var block in function.Blocks)
        {
            block.LoopDepth = 0;
        }

        foreach (var block in Find(function).SelectMany(static l => l.Body))
        {
            block.LoopDepth++;
        }
    }
}

/// <summary>A loop: its only entry, and all blocks of it.</summary>
internal sealed record Loop(Block Header, HashSet<Block> Body);
