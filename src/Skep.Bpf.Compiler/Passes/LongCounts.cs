using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Frontend;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Passes;

/// <summary>
/// A plain loop from a constant to a constant with so many rounds that the verifier would give up on walking them all, a million instructions, gets what
/// <c>Loop.Range</c> writes: the kernel counts, too (<c>may_goto</c>, kernel 6.9). The verifier must not know where the counter begins, or it would walk round by
/// round all the same: it is made to forget that with a number that it knows nothing about, the time, and learns the counter's bounds from a test.
/// </summary>
internal sealed class LongCounts(CompileTarget target) : IPass
{
    /// <summary>Instructions on the shortest way through all rounds from which on the verifier is not trusted to come to the end.</summary>
    private const long MostWalked = 500_000;

    /// <summary>The kernel breaks off after twice as many, in a function as a whole.</summary>
    private const long MostRounds = 4 * 1024 * 1024;

    private const int KtimeGetNs = 5;

    public string Why => "the verifier does not walk hundreds of thousands of rounds";

    public bool Run(Function function)
    {
        if (!MethodTranslator.MayGoto(target))
        {
            return false;
        }

        var loops = Loops.Find(function);
        var found = new List<Counted>();
        foreach (var loop in loops)
        {
            if (Find(loop) is { } counted && counted.Rounds * ShortestWay(function, loop, counted.Latch) > MostWalked && !loops.Exists(other => other != loop && other.Body.Contains(loop.Header))
                && !loop.Body.Any(static b => b.Terminator.Op == Op.MayLoop))
            {
                found.Add(counted);
            }
        }

        var rounds = 0L;
        foreach (var counted in found)
        {
            rounds += counted.Rounds;
        }

        if (rounds is 0 or > MostRounds)
        {
            return false;
        }

        foreach (var counted in found)
        {
            Rewrite(function, counted);
        }

        function.Normalize();
        return true;
    }

    /// <summary>The loop, if it counts upwards from a constant and the test for a constant end leads back to its start.</summary>
    private static Counted? Find(Loop loop)
    {
        var header = loop.Header;
        var latches = header.Predecessors.Where(loop.Body.Contains).ToArray();
        var entries = header.Predecessors.Where(p => !loop.Body.Contains(p)).ToArray();
        if (latches is not [{ Terminator: { Op: Op.Branch } test } latch] || entries is not [var entry] || test.Targets[0] == test.Targets[1])
        {
            return null;
        }

        var back = test.Targets[0] == header ? 0 : 1;
        var (condition, exit) = (back == 0 ? test.Condition : test.Condition.Negate(), test.Targets[1 - back]);
        if (condition is not (Condition.LessSigned or Condition.LessUnsigned) || loop.Body.Contains(exit)
            || test.Operands is not [{ Op: Op.Add, Operands: [{ Op: Op.Phi } phi, { IsConstant: true, Immediate: > 0 and <= MostRounds and var step }] } next, { IsConstant: true, Immediate: > 0 and <= int.MaxValue and var end }]
            || phi.Block != header || phi.Operands[phi.Targets.IndexOf(latch)] != next
            || phi.Operands[phi.Targets.IndexOf(entry)] is not { IsConstant: true, Immediate: >= 0 and var start } || start >= end)
        {
            return null;
        }

        return new Counted(loop, entry, latch, exit, phi, start, end, (end - start + step - 1) / step);
    }

    private static int ShortestWay(Function function, Loop loop, Block latch)
    {
        // Those that are not reached yet are far away.
        var ways = new int[function.Blocks.Count];
        Array.Fill(ways, int.MaxValue);
        ways[loop.Header.Index] = loop.Header.Nodes.Count;
        for (var changed = true; changed;)
        {
            changed = false;
            foreach (var block in function.Blocks)
            {
                if (ways[block.Index] == int.MaxValue)
                {
                    continue;
                }

                foreach (var next in block.Successors)
                {
                    var length = ways[block.Index] + next.Nodes.Count;
                    if (loop.Body.Contains(next) && length < ways[next.Index])
                    {
                        ways[next.Index] = length;
                        changed = true;
                    }
                }
            }
        }

        return ways[latch.Index];
    }

    private static void Rewrite(Function function, Counted counted)
    {
        var (phi, header, position) = (counted.Counter, counted.Loop.Header, counted.Latch.Terminator.Position);

        // Before the loop: the start without its bounds, and a test that gives it those of the other rounds.
        var before = function.NewBlock();
        var never = function.NewBlock();
        var time = before.Append(new Node(Op.Call, IrType.I64) { Immediate = KtimeGetNs, Payload = new HelperCall("KtimeGetNs", []), Position = position });
        var start = before.Append(new Node(Op.Forget, IrType.I64) { Position = position }.With(Node.Const(IrType.I64, counted.Start), time));
        if (phi.Type == IrType.I32)
        {
            start = before.Append(new Node(Op.Truncate, IrType.I32) { Position = position }.With(start));
        }

        var first = before.Append(new Node(Op.Branch, IrType.Void) { Condition = Condition.LessUnsigned, Position = position }.With(start, Node.Const(phi.Type, counted.End)));
        first.Targets.Add(header);
        first.Targets.Add(never);
        never.Append(new Node(Op.Return, IrType.Void) { Position = position }.With(Node.Const(IrType.I32, 0)));
        Redirect(counted.Entry, header, before);
        header.ReplaceIncoming(counted.Entry, before);
        phi.Operands[phi.Targets.IndexOf(before)] = start;

        // Behind a round: the kernel is asked, too. Where it says no the loop has ended as it does by itself.
        var again = function.NewBlock();
        var go = again.Append(new Node(Op.MayLoop, IrType.Void) { Position = position });
        go.Targets.Add(header);
        go.Targets.Add(counted.Exit);
        Redirect(counted.Latch, header, again);
        header.ReplaceIncoming(counted.Latch, again);
        foreach (var value in counted.Exit.Phis)
        {
            value.AddOperand(value.Operands[value.Targets.IndexOf(counted.Latch)]);
            value.Targets.Add(again);
        }
    }

    private static void Redirect(Block from, Block target, Block to)
    {
        var targets = from.Terminator.Targets;
        for (var i = 0; i < targets.Count; i++)
        {
            targets[i] = targets[i] == target ? to : targets[i];
        }
    }

    private sealed record Counted(Loop Loop, Block Entry, Block Latch, Block Exit, Node Counter, long Start, long End, long Rounds);
}
