using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Passes;

/// <summary>
/// Removes the tests before a throw that can never fail, and of which the verifier, too, can see that: an index that was bounded by a loop, a mask or a comparison.
/// The others are left to <see cref="HiddenBounds"/>.
/// </summary>
internal sealed class BoundsChecks(CompileTarget target) : IPass
{
    public string Why => "what is proven to be in range need not be tested, and need not be able to throw";

    public bool Run(Function function)
    {
        Ranges? ranges = null;
        Ranges? verified = null;
        var changed = false;
        foreach (var block in function.Blocks)
        {
            if (block.Terminator is not { Op: Op.Branch } branch || branch.Operands[0].IsConstant || !branch.Targets.Exists(EndsInTrap))
            {
                continue;
            }

            ranges ??= new Ranges(function);
            verified ??= ranges.AsVerified(target);
            if (verified.Decide(branch) is { } known && EndsInTrap(branch.Targets[known ? 1 : 0]))
            {
                Decide(branch, known);
                changed = true;
            }
            else
            {
                changed |= CloseWay(ranges, block);
            }
        }

        return changed;
    }

    /// <summary>Closes the way to a test that is never made, rather than removing the test: the verifier may take it for possible. False when there is no such way.</summary>
    internal static bool CloseWay(Ranges ranges, Block block)
    {
        if (ranges.NeverEntered(block) is not { } never || never.Predecessors[0].Terminator is not { } test || test.Operands[0].IsConstant)
        {
            return false;
        }

        Decide(test, test.Targets[0] != never);
        return true;
    }

    /// <summary>ControlFlow folds the branch on two constants.</summary>
    internal static void Decide(Node branch, bool taken)
    {
        branch.Condition = Condition.Equal;
        branch.With(Node.Const(IrType.I32, taken ? 1 : 0), Node.Const(IrType.I32, 1));
    }

    internal static bool EndsInTrap(Block block) => block.Terminator.Op == Op.Trap;
}
