using Skep.Bpf.Asm;
using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Emit;

/// <summary>
/// Switches as balanced trees of comparisons: BPF has no computed jumps before kernel 6.19. Neighbouring cases that go to the same place are one run,
/// cases that do what the default does need no test, and what the comparisons above have shown is not tested again.
/// </summary>
internal sealed partial class Selection
{
    /// <summary>So many single cases are as cheap one after the other.</summary>
    private const int ShortSwitch = 3;

    private void SelectSwitch(Node node)
    {
        var value = Use(node.Operands[0]);
        var last = node.Targets[^1];
        List<CaseRun> runs = [];
        for (var i = 0; i < node.Targets.Count - 1; i++)
        {
            if (runs.Count > 0 && runs[^1].High == i - 1 && runs[^1].Target == node.Targets[i])
            {
                runs[^1] = runs[^1] with { High = i };
            }
            else if (node.Targets[i] != last)
            {
                runs.Add(new CaseRun(i, i, node.Targets[i]));
            }
        }

        var most = KnownBits.PossibleBits(node.Operands[0]);
        SelectRuns(node, value, runs.ToArray(), 0, most > long.MaxValue ? long.MaxValue : (long)most);
    }

    /// <summary>The value is known to lie between <paramref name="low"/> and <paramref name="high"/>.</summary>
    private void SelectRuns(Node node, int value, ReadOnlySpan<CaseRun> runs, long low, long high)
    {
        runs = WithoutImpossible(runs, low, high);
        if (runs.Length <= ShortSwitch && AllSingle(runs, low, high))
        {
            var weight = BranchChances.WeightOf(node.Block!, node.Targets[^1]);
            foreach (var run in runs)
            {
                weight += BranchChances.WeightOf(node.Block!, run.Target);
            }

            foreach (var run in runs)
            {
                if (run.Low == low && run.High == high)
                {
                    Finish(node, run.Target);
                    return;
                }

                var target = EdgeTo(node.Block!, run.Target);
                var own = BranchChances.WeightOf(node.Block!, run.Target);
                var chance = own / weight;
                weight -= own;
                if (run.Low == run.High)
                {
                    JumpIf(OpCodes.ClassJmp | OpCodes.Jeq, value, MachineInstruction.None, run.Low, target, chance);
                    low += run.Low == low ? 1 : 0;
                }
                else if (run.Low == low)
                {
                    JumpIf(OpCodes.ClassJmp | OpCodes.Jle, value, MachineInstruction.None, run.High, target, chance);
                    low = run.High + 1;
                }
                else
                {
                    JumpIf(OpCodes.ClassJmp | OpCodes.Jge, value, MachineInstruction.None, run.Low, target, chance);
                    high = run.Low - 1;
                }
            }

            Finish(node, node.Targets[^1]);
            return;
        }

        // Between two runs, or at the end of a single one that needs both of its ends tested.
        var bound = runs.Length == 1 ? runs[0].High + 1 : runs[runs.Length / 2].Low;
        var above = new MachineBlock(_machine.Blocks.Count) { LoopDepth = node.Block!.LoopDepth };
        _machine.Blocks.Add(above);
        JumpIf(OpCodes.ClassJmp | OpCodes.Jge, value, MachineInstruction.None, bound, above);
        var below = new MachineBlock(_machine.Blocks.Count) { LoopDepth = node.Block!.LoopDepth };
        _machine.Blocks.Add(below);
        Emit(new MachineInstruction(MachineKind.Jump) { Target = below });
        _current.Successors.Add(below);
        _current = below;
        SelectRuns(node, value, runs, low, bound - 1);
        _current = above;
        SelectRuns(node, value, runs, bound, high);
    }

    private void Finish(Node node, Block target)
    {
        var edge = EdgeTo(node.Block!, target);
        Emit(new MachineInstruction(MachineKind.Jump) { Target = edge });
        _current.Successors.Add(edge);
    }

    private static CaseRun[] WithoutImpossible(ReadOnlySpan<CaseRun> runs, long low, long high)
    {
        var possible = new List<CaseRun>();
        foreach (var run in runs)
        {
            if (run.High >= low && run.Low <= high)
            {
                possible.Add(run with { Low = Math.Max(run.Low, low), High = Math.Min(run.High, high) });
            }
        }

        return [.. possible];
    }

    /// <summary>Each run takes one comparison: one value, or a run that reaches an end of what is possible.</summary>
    private static bool AllSingle(ReadOnlySpan<CaseRun> runs, long low, long high)
    {
        foreach (var run in runs)
        {
            if (run.Low != run.High && run.Low != low && run.High != high)
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Cases from <paramref name="Low"/> to <paramref name="High"/> that go to one block.</summary>
    private readonly record struct CaseRun(long Low, long High, Block Target);
}
