using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Analyses;

/// <summary>
/// How likely the two ways of a branch are, by what the branch asks: most packets are long enough, most lookups find something, loops go round,
/// and who leaves early is the exception. Only the order of the code depends on it, so a wrong guess costs a jump.
/// </summary>
internal static class BranchChances
{
    private const double Even = 0.5;
    public const double Rare = 0.05;
    private const double Unlikely = 0.2;
    private const double LoopExit = 0.125;
    private const int FewestReturns = 3;
    private const int MostSteps = 3;

    /// <summary>The chance that <paramref name="branch"/> goes to its first target; loop depths must be annotated.</summary>
    public static double OfFirst(Node branch)
    {
        var (yes, no) = (branch.Targets[0], branch.Targets[1]);
        if (IsInBounds(branch) is { } inBounds)
        {
            return inBounds ? 1 - Rare : Rare;
        }

        if (branch.Operands[0].Type == IrType.Pointer && branch.Operands[1].IsConstantValue(0) && branch.Condition is Condition.Equal or Condition.NotEqual)
        {
            return branch.Condition == Condition.NotEqual ? 1 - Rare : Rare;
        }

        var depth = branch.Block!.LoopDepth;
        if (yes.LoopDepth < depth != no.LoopDepth < depth)
        {
            return yes.LoopDepth < depth ? LoopExit : 1 - LoopExit;
        }

        return (Leaves(branch.Block, yes), Leaves(branch.Block, no)) switch
        {
            (true, false) => Unlikely,
            (false, true) => 1 - Unlikely,
            _ => Even,
        };
    }

    /// <summary>How much a way of a switch counts beside the others.</summary>
    public static double WeightOf(Block from, Block target) => Leaves(from, target) ? Unlikely : 1;

    /// <summary>Whether the first target is where a packet reaches far enough; null when the branch does not compare with the packet's end.</summary>
    private static bool? IsInBounds(Node branch)
    {
        var condition = branch.Operands[1].Provenance == Provenance.PacketEnd ? branch.Condition
            : branch.Operands[0].Provenance == Provenance.PacketEnd ? branch.Condition.Swap()
            : Condition.Equal;
        return condition switch
        {
            Condition.LessUnsigned or Condition.LessOrEqualUnsigned => true,
            Condition.GreaterUnsigned or Condition.GreaterOrEqualUnsigned => false,
            _ => null,
        };
    }

    /// <summary>Nothing is done on this way but return, from the function or from a method that was inlined: with a constant, to where several such ways meet.</summary>
    private static bool Leaves(Block from, Block block)
    {
        for (var steps = 0; steps < MostSteps; steps++)
        {
            if (block.Phis.Any(p => p.Operands[p.Targets.IndexOf(from)].IsConstant) && block.Predecessors.Count >= FewestReturns)
            {
                return true;
            }

            if (block.Nodes.Any(static n => n.Op != Op.Phi && !n.IsTerminator))
            {
                return false;
            }

            if (block.Terminator.Op != Op.Jump)
            {
                return block.Terminator.Op == Op.Return;
            }

            (from, block) = (block, block.Terminator.Targets[0]);
        }

        return false;
    }
}
