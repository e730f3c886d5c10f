using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Passes;

/// <summary>
/// Repeats the body of a short loop that counts to a constant. The first round is taken out in front of the loop as often as the loop runs, which is right
/// whatever the counting says; that the rest is never reached is what later passes find out from the constants. Runs before promotion, where no value crosses
/// blocks except through memory.
/// </summary>
internal sealed class LoopUnrolling : IPass
{
    /// <summary>Nodes before promotion, of which about a third remains.</summary>
    private const int MostNodes = 600;
    private const int MostRounds = 16;
    private const int MostNodesInAll = 6000;
    private const int StepsBack = 8;

    public string Why => "short loops with a known number of rounds become straight code, in which counters are constants";

    public bool Run(Function function)
    {
        var spent = 0;
        var changed = false;
        var seen = new HashSet<Block>();
        while (spent < MostNodesInAll && Innermost(function, seen) is { } loop)
        {
            seen.Add(loop.Header);
            var rounds = Rounds(function, loop);
            var nodes = 0;
            foreach (var block in loop.Body)
            {
                nodes += block.Nodes.Count;
            }

            if (rounds is 0 or > MostRounds || rounds * nodes > MostNodes || LeaksValues(function, loop))
            {
                continue;
            }

            spent += rounds * nodes;
            for (var i = 0; i < rounds; i++)
            {
                Peel(function, loop);
            }

            function.Normalize();
            changed = true;
        }

        return changed;
    }

    /// <summary>A loop not seen yet that contains no other one.</summary>
    private static Loop? Innermost(Function function, HashSet<Block> seen)
    {
        var loops = Loops.Find(function);
        return loops
            .Where(l => !seen.Contains(l.Header) && !loops.Any(o => o.Header != l.Header && l.Body.Contains(o.Header)))
            .MinBy(static l => l.Header.Id);
    }

    /// <summary>How often the header runs, 0 when that is not known.</summary>
    private static int Rounds(Function function, Loop loop)
    {
        foreach (var block in loop.Body.OrderBy(static b => b.Id))
        {
            if (block.Terminator is not { Op: Op.Branch } branch || block.Successors.All(loop.Body.Contains)
                || branch.Operands[0] is not { Op: Op.Load } load || load.Operands[0].Op != Op.Alloca || !branch.Operands[1].IsConstant
                || Step(loop, load) is not { } step || Start(loop, load) is not { } value)
            {
                continue;
            }

            var staysWhen = loop.Body.Contains(branch.Targets[0]);
            var testsFirst = step.Store.Block != block && new Dominators(function).Dominates(block, step.Store.Block!);
            for (var rounds = 1; rounds <= MostRounds; rounds++)
            {
                value += testsFirst ? 0 : step.By;
                if (branch.Condition.Evaluate(load.Type, value, branch.Operands[1].Immediate) != staysWhen)
                {
                    return rounds;
                }

                value += testsFirst ? step.By : 0;
            }
        }

        return 0;
    }

    /// <summary>The only write to the counter in the loop, when it adds a constant.</summary>
    private static (Node Store, long By)? Step(Loop loop, Node counter)
    {
        Node? only = null;
        foreach (var store in loop.Body.SelectMany(static b => b.Nodes).Where(n => n.Op == Op.Store && n.Operands[0] == counter.Operands[0]))
        {
            if (only is not null || store.Immediate != counter.Immediate || store.Size != counter.Size)
            {
                return null;
            }

            only = store;
        }

        return only?.Operands[1] is { Op: Op.Add } sum && sum.Operands[1].IsConstant && sum.Operands[0] is { Op: Op.Load } load
            && load.Operands[0] == counter.Operands[0] && load.Immediate == counter.Immediate
            ? (only, sum.Type == IrType.I32 ? (int)sum.Operands[1].Immediate : sum.Operands[1].Immediate)
            : null;
    }

    /// <summary>The constant that the counter has when the loop is entered.</summary>
    private static long? Start(Loop loop, Node counter)
    {
        var outside = loop.Header.Predecessors.Where(p => !loop.Body.Contains(p)).ToArray();
        var block = outside.Length == 1 ? outside[0] : null;
        for (var steps = 0; block is not null && steps < StepsBack; steps++)
        {
            if (block.Nodes.FindLast(n => n.Op == Op.Store && n.Operands[0] == counter.Operands[0] && n.Immediate == counter.Immediate) is { } store)
            {
                return store.Operands[1] is { IsConstant: true } constant ? counter.Type == IrType.I32 ? (int)constant.Immediate : constant.Immediate : null;
            }

            block = block.Predecessors.Count == 1 ? block.Predecessors[0] : null;
        }

        return null;
    }

    private static bool LeaksValues(Function function, Loop loop)
    {
        foreach (var block in function.Blocks)
        {
            var isInside = loop.Body.Contains(block);
            foreach (var node in block.Nodes)
            {
                if (node.Op == Op.Phi || (!isInside && node.Operands.Exists(o => o.Block is { } home && loop.Body.Contains(home))))
                {
                    return true;
                }
            }
        }

        return false;
    }

    /// <summary>A copy of the body is entered instead of the loop, and goes on into the loop.</summary>
    private static void Peel(Function function, Loop loop)
    {
        var body = function.Blocks.Where(loop.Body.Contains).ToArray();
        var blocks = body.ToDictionary(static b => b, _ => function.NewBlock());
        var entering = loop.Header.Predecessors.Where(p => !loop.Body.Contains(p)).ToArray();
        var nodes = new Dictionary<Node, Node>();
        foreach (var block in body)
        {
            foreach (var node in block.Nodes)
            {
                var copy = node.Copy(o => nodes.GetValueOrDefault(o, o));
                for (var i = 0; copy.IsTerminator && i < copy.Targets.Count; i++)
                {
                    copy.Targets[i] = copy.Targets[i] == loop.Header ? loop.Header : blocks.GetValueOrDefault(copy.Targets[i], copy.Targets[i]);
                }

                nodes[node] = copy;
                blocks[block].Append(copy);
            }
        }

        foreach (var predecessor in entering)
        {
            var targets = predecessor.Terminator.Targets;
            for (var i = 0; i < targets.Count; i++)
            {
                targets[i] = targets[i] == loop.Header ? blocks[loop.Header] : targets[i];
            }
        }

        function.Normalize();
    }
}
