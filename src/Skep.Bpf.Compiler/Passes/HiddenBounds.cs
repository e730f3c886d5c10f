using System.Numerics;
using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Passes;

/// <summary>
/// A test before a throw that can never fail, but for a reason that the verifier does not see: the index is bounded once more for the verifier, by a mask where its
/// limit allows, else by the test itself with 0 in the place of what cannot be. Runs last: earlier passes would take the second number for a possible one.
/// </summary>
internal sealed class HiddenBounds : IPass
{
    public string Why => "an index that only we know to be in range is bounded for the verifier";

    public bool Run(Function function)
    {
        var changed = false;
        foreach (var block in function.Blocks.ToArray())
        {
            if (block.Terminator is not { Op: Op.Branch } branch || branch.Operands[0].IsConstant || !branch.Targets.Exists(BoundsChecks.EndsInTrap))
            {
                continue;
            }

            var ranges = new Ranges(function);
            if (ranges.Decide(branch) is { } known && BoundsChecks.EndsInTrap(branch.Targets[known ? 1 : 0]))
            {
                if (MostOf(known ? branch.Condition : branch.Condition.Negate(), branch.Operands[1]) is { } most && branch.Operands[0].Type != IrType.Pointer)
                {
                    Bound(function, block, branch.Targets[known ? 0 : 1], (ulong)most);
                }
                else
                {
                    BoundsChecks.Decide(branch, known);
                }

                changed = true;
            }
            else
            {
                // What was bounded before may tell.
                changed |= BoundsChecks.CloseWay(ranges, block);
            }
        }

        return changed;
    }

    /// <summary>The greatest index that passes the test, when that is a constant.</summary>
    private static long? MostOf(Condition condition, Node limit) => condition switch
    {
        Condition.LessUnsigned when limit is { IsConstant: true, Immediate: > 0 } => limit.Immediate - 1,
        Condition.LessOrEqualUnsigned when limit is { IsConstant: true, Immediate: >= 0 } => limit.Immediate,
        _ => null,
    };

    /// <summary>Behind the test stands a block of its own, in which the index is a new value; all that is computed from it and used from there on is computed anew.</summary>
    private static void Bound(Function function, Block block, Block inside, ulong most)
    {
        var test = block.Terminator;
        var index = test.Operands[0];
        var behind = function.NewBlock();
        Node bounded;
        if (BitOperations.IsPow2(most + 1))
        {
            bounded = behind.Append(new Node(Op.And, index.Type) { Position = test.Position }.With(index, Node.Const(index.Type, (long)most)));
            test.Op = Op.Jump;
            test.With();
            test.Targets.Clear();
            test.Targets.Add(behind);
        }
        else
        {
            var never = function.NewBlock();
            never.Append(new Node(Op.Jump, IrType.Void) { Position = test.Position }).Targets.Add(behind);
            bounded = behind.Append(new Node(Op.Phi, index.Type) { Position = test.Position }.With(index, Node.Const(index.Type, 0)));
            bounded.Targets.Add(block);
            bounded.Targets.Add(never);
            test.Targets[0] = test.Targets[0] == inside ? behind : never;
            test.Targets[1] = test.Targets[1] == inside ? behind : never;
        }

        behind.Append(new Node(Op.Jump, IrType.Void) { Position = test.Position }).Targets.Add(inside);
        inside.ReplaceIncoming(block, behind);
        function.Normalize();
        Renew(function, behind, index, bounded);
    }

    private static void Renew(Function function, Block behind, Node index, Node bounded)
    {
        var dominators = new Dominators(function);
        var renewed = new Dictionary<Node, Node> { [index] = bounded };
        foreach (var block in function.Blocks.Where(b => dominators.Dominates(behind, b)).ToArray())
        {
            foreach (var node in block.Nodes.Where(n => n != bounded).ToArray())
            {
                for (var o = 0; o < node.Operands.Count; o++)
                {
                    if (node.Op != Op.Phi || dominators.Dominates(behind, node.Targets[o]))
                    {
                        node.Operands[o] = Again(node.Operands[o]);
                    }
                }
            }
        }

        // What was computed before the test can be computed at its end, for both come before the user.
        Node Again(Node old)
        {
            if (renewed.TryGetValue(old, out var known))
            {
                return known;
            }

            var again = old;
            if (old.Op is >= Op.Add and <= Op.Compare and not Op.Forget && !dominators.Dominates(behind, old.Block!))
            {
                var operands = old.Operands.ConvertAll(Again);
                if (!operands.SequenceEqual(old.Operands))
                {
                    again = old.Copy(o => operands[old.Operands.IndexOf(o)]);
                    again.Block = behind;
                    behind.Nodes.Insert(behind.Nodes.Count - 1, again);
                }
            }

            renewed.Add(old, again);
            return again;
        }
    }
}
