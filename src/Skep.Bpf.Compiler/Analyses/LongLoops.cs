using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Analyses;

/// <summary>
/// Loops in which the verifier could be left with too many ways to go. At a branch that it cannot decide it goes on with the instruction that follows and keeps
/// the jump for later, of which it takes 8192 at a time: a way out of a loop that is jumped to is one more in each round, while behind one that is fallen into it
/// comes to the end of the program, and finds the next one known when it comes back.
/// </summary>
internal static class LongLoops
{
    /// <summary>Half of what the verifier takes; the rest is for what surrounds the loop.</summary>
    private const long MostPending = 4096;

    /// <summary>The branches that leave such a loop and that the verifier cannot decide, and which of their targets lies outside.</summary>
    public static Dictionary<Node, int> Exits(IReadOnlyList<Loop> loops, Function function)
    {
        var exits = new Dictionary<Node, int>();
        if (loops.Count == 0)
        {
            return exits;
        }

        var ranges = new Ranges(function);
        var rounds = new long[loops.Count];
        for (var i = 0; i < rounds.Length; i++)
        {
            rounds[i] = Rounds(loops[i], ranges);
        }

        foreach (var loop in loops)
        {
            var leaving = loop.Body.Select(static b => b.Terminator).Where(t => Leaves(loop, t) && !IsCounted(loop, t)).ToList();
            var inAll = 1L;
            for (var i = 0; i < rounds.Length; i++)
            {
                inAll = loops[i].Body.Contains(loop.Header) ? Math.Min(inAll * rounds[i], MostPending + 1) : inAll;
            }

            if (inAll * leaving.Count > MostPending)
            {
                leaving.ForEach(t => exits.TryAdd(t, loop.Body.Contains(t.Targets[0]) ? 1 : 0));
            }
        }

        return exits;
    }

    private static bool Leaves(Loop loop, Node end) => end.Op == Op.Branch && loop.Body.Contains(end.Targets[0]) != loop.Body.Contains(end.Targets[1]);

    /// <summary>The verifier knows a counter that runs from one constant to another.</summary>
    private static bool IsCounted(Loop loop, Node branch) =>
        branch.Operands[1].IsConstant && Counter(loop, branch.Operands[0]) is var (_, start, _) && start.IsConstant;

    /// <summary>How often the header may run; more than is taken when nothing says so.</summary>
    private static long Rounds(Loop loop, Ranges ranges)
    {
        const ulong Most = MostPending + 1;
        var least = Most;
        foreach (var block in loop.Body)
        {
            // Where the kernel counts, the verifier is done after a few rounds.
            if (block.Terminator.Op == Op.MayLoop || block.Nodes.Exists(IsIterator))
            {
                return 1;
            }

            if (Leaves(loop, block.Terminator) && Counter(loop, block.Terminator.Operands[0]) is var (from, start, step))
            {
                var (first, limit) = (ranges.Of(start, from), ranges.Of(block.Terminator.Operands[1], block));
                var (low, high) = step > 0 ? (first.Low, limit.High) : (limit.Low, first.High);
                least = high < low ? 1 : Math.Min(least, Math.Min(((ulong)high - (ulong)low) / (ulong)Math.Abs(step), Most) + 2);
            }
        }

        return (long)least;
    }

    private static bool IsIterator(Node node) =>
        node.Payload is HelperCall { KernelName: var name } && name.StartsWith("bpf_iter_", StringComparison.Ordinal) && name.EndsWith("_next", StringComparison.Ordinal);

    /// <summary>Where a value that counts begins and how, and by what it changes.</summary>
    private static (Block From, Node Start, long Step)? Counter(Loop loop, Node value)
    {
        value = value.Op is Op.ZeroExtend or Op.SignExtend or Op.Truncate ? value.Operands[0] : value;
        var phi = value is { Op: Op.Add, Operands: [{ Op: Op.Phi } stepped, { IsConstant: true }] } ? stepped : value;
        if (phi.Op != Op.Phi || phi.Block != loop.Header || phi.Operands.Count != 2)
        {
            return null;
        }

        var inside = loop.Body.Contains(phi.Targets[0]) ? 0 : 1;
        return phi.Operands[inside] is { Op: Op.Add, Operands: [var before, { IsConstant: true, Immediate: not 0 and not long.MinValue } by] } && before == phi
            ? (phi.Targets[1 - inside], phi.Operands[1 - inside], phi.Type == IrType.I32 ? (int)by.Immediate : by.Immediate)
            : null;
    }
}
