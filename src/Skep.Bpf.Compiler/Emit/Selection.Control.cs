using Skep.Bpf.Asm;
using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Emit;

/// <summary>Branches, switches, and the moves that set phis on their edges.</summary>
internal sealed partial class Selection
{
    private void SelectBranch(Node node)
    {
        var (yes, no) = (node.Targets[0], node.Targets[1]);
        var chance = BranchChances.OfFirst(node);
        var isLong = _longExits.TryGetValue(node, out var exit);
        if (TestedBits(node) is { } and)
        {
            // The jump is taken when a bit is set.
            (yes, no, chance) = node.Condition == Condition.NotEqual ? (yes, no, chance) : (no, yes, 1 - chance);
            var (mask, bits) = Operand(and.Operands[1], IrType.I64);
            JumpIf(OpCodes.ClassJmp | OpCodes.Jset, Use(and.Operands[0]), mask, bits, EdgeTo(node.Block!, yes), chance, isLong);
        }
        else
        {
            var (code, a, b, immediate) = Comparison(node);
            if (isLong && exit == 0)
            {
                // Without an inverse, which only the oldest instruction set lacks, the loop must do with fewer rounds.
                isLong = BlockOrder.Inverse(_machine, code) is not null;
                (code, yes, no, chance) = isLong ? (BlockOrder.Inverse(_machine, code)!.Value, no, yes, 1 - chance) : (code, yes, no, chance);
            }

            JumpIf(code, a, b, immediate, EdgeTo(node.Block!, yes), chance, isLong);
        }

        var other = EdgeTo(node.Block!, no);
        Emit(new MachineInstruction(MachineKind.Jump) { Target = other });
        _current.Successors.Add(other);
    }

    /// <summary>Whether the way on which a bit is set is that out of a long loop: there is no jump for the opposite.</summary>
    private bool LeavesWhenSet(Node branch) => _longExits.TryGetValue(branch, out var exit) && exit == (branch.Condition == Condition.NotEqual ? 0 : 1);

    /// <summary><c>may_goto</c> (kernel 6.9): falls through as long as the function may go on.</summary>
    private void SelectMayLoop(Node node)
    {
        _machine.MayLoop = true;
        JumpIf(OpCodes.ClassJmp | OpCodes.Jcond, MachineInstruction.None, MachineInstruction.None, 0, EdgeTo(node.Block!, node.Targets[1]), BranchChances.Rare);
        var other = EdgeTo(node.Block!, node.Targets[0]);
        Emit(new MachineInstruction(MachineKind.Jump) { Target = other });
        _current.Successors.Add(other);
    }

    private void JumpIf(byte code, int a, int b, long immediate, MachineBlock target, double chance = 0.5, bool isFixed = false)
    {
        Emit(new MachineInstruction(MachineKind.JumpIf)
        {
            Code = (byte)(code | (b == MachineInstruction.None ? OpCodes.SourceImmediate : OpCodes.SourceRegister)), Dst = a, Src = b, Immediate = immediate, Target = target, Chance = chance, IsFixed = isFixed,
        });
        _current.Successors.Add(target);
    }

    private void GoTo(Block target)
    {
        Emit(new MachineInstruction(MachineKind.Jump) { Target = _blocks[target] });
        _current.Successors.Add(_blocks[target]);
    }

    /// <summary>The block an edge enters: the target itself, or a block of its own that sets the target's phis.</summary>
    private MachineBlock EdgeTo(Block from, Block target)
    {
        if (!target.Phis.Any())
        {
            return _blocks[target];
        }

        var (saved, position) = (_current, _position);
        var edge = new MachineBlock(_machine.Blocks.Count) { LoopDepth = Math.Min(from.LoopDepth, target.LoopDepth) };
        _machine.Blocks.Add(edge);
        _current = edge;
        Copies(from, target);
        GoTo(target);
        (_current, _position) = (saved, position);
        return edge;
    }

    /// <summary>Sets the phis of <paramref name="target"/> for the edge from <paramref name="from"/>, all at once in effect.</summary>
    private void Copies(Block from, Block target)
    {
        var moves = new List<(int Dst, Node Source)>();
        foreach (var phi in target.Phis)
        {
            var source = phi.Operands[phi.Targets.IndexOf(from)];
            if (source != phi)
            {
                moves.Add((_registers[phi], source));
            }
        }

        while (moves.Count > 0)
        {
            // A register may be written once no other pending move reads it.
            var ready = moves.FindIndex(m => !moves.Any(o => o.Dst != m.Dst && RegisterOf(o.Source) == m.Dst));
            if (ready < 0)
            {
                // A cycle: save one of its registers.
                var (dst, _) = moves[0];
                var saved = _machine.NewRegister();
                Move(saved, dst);
                var holder = new Node(Op.Phi, IrType.I64);
                _registers[holder] = saved;
                for (var i = 0; i < moves.Count; i++)
                {
                    if (RegisterOf(moves[i].Source) == dst)
                    {
                        moves[i] = (moves[i].Dst, holder);
                    }
                }

                continue;
            }

            Materialize(moves[ready].Source, moves[ready].Dst);
            moves.RemoveAt(ready);
        }
    }

    private void SelectForget(Node node)
    {
        // Adding and taking away a number without bounds leaves, for the verifier, a number without bounds.
        var (unknown, dst) = (Use(node.Operands[1]), Define(node));
        Materialize(node.Operands[0], dst);
        Emit(new MachineInstruction(MachineKind.Alu) { Code = OpCodes.ClassAlu64 | OpCodes.Add | OpCodes.SourceRegister, Dst = dst, Src = unknown });
        Emit(new MachineInstruction(MachineKind.Alu) { Code = OpCodes.ClassAlu64 | OpCodes.Sub | OpCodes.SourceRegister, Dst = dst, Src = unknown });
    }

    /// <summary>Has the verifier compare paths behind the mask of a number that it was made to forget: from there on those are alike that differed in it only.</summary>
    private void CheckPaths(Node node)
    {
        if (node.Op == Op.And && node.Operands[1].IsConstant && (node.Operands[0].Op == Op.Truncate ? node.Operands[0].Operands[0] : node.Operands[0]).Op == Op.Forget)
        {
            Emit(new MachineInstruction(MachineKind.Checkpoint) { Code = OpCodes.ClassJmp | OpCodes.Ja });
        }
    }
}
