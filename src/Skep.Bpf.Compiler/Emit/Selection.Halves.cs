using Skep.Bpf.Asm;
using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Emit;

/// <summary>Numbers of 32 bits in registers of 64, as the verifier sees them: a comparison of halves bounds the whole only where it knows that the upper half is zero.</summary>
internal sealed partial class Selection
{
    private readonly HashSet<Node> _halves = [];

    /// <summary>The 32-bit values that are compared as such, and what they are joined from. Below level 3 there are no such comparisons.</summary>
    private void FindHalves()
    {
        if (_target.IsaLevel < 3)
        {
            return;
        }

        var work = new Stack<Node>();
        foreach (var node in _function.Blocks.SelectMany(static b => b.Nodes))
        {
            if (node.Op is Op.Branch or Op.Compare && ComparesHalves(node.Condition, node.Operands[0], node.Operands[1]))
            {
                work.Push(node.Operands[0]);
                work.Push(node.Operands[1]);
            }
        }

        while (work.TryPop(out var node))
        {
            if (_halves.Add(node) && node.Op == Op.Phi)
            {
                foreach (var operand in node.Operands)
                {
                    work.Push(operand);
                }
            }
        }
    }

    /// <summary>
    /// Whether the verifier knows nothing of the upper half of a 32-bit value, although it is zero: after a shift by what it takes for more than 31, and after what it
    /// does not compute (<c>is_safe_to_compute_dst_reg_range</c> and BPF_END in kernel/bpf/verifier.c).
    /// </summary>
    private static bool IsVagueAbove(Node value) => value.Type == IrType.I32 && value.Op switch
    {
        Op.ShiftLeft or Op.ShiftRightUnsigned or Op.ShiftRightSigned => KnownBits.VerifiedBits(value.Operands[1]) > 31,
        Op.DivideSigned or Op.RemainderSigned or Op.DivideUnsigned or Op.RemainderUnsigned or Op.Negate or Op.ByteSwap => true,
        _ => false,
    };

    /// <summary>Tells the verifier of a value that is compared as a half that its upper half is zero, where it does not know.</summary>
    private void ClearAbove(Node node)
    {
        if (_halves.Contains(node) && IsVagueAbove(node))
        {
            var known = _machine.NewRegister();
            MoveHalf(known, _registers[node]);
            _registers[node] = known;
        }
    }

    private static bool ComparesHalves(Condition condition, Node a, Node b) =>
        a.Type == IrType.I32 && (condition.IsSigned() || (b.IsConstant && (uint)b.Immediate > int.MaxValue));

    private void MoveHalf(int dst, int src) =>
        Emit(new MachineInstruction(MachineKind.Move) { Code = OpCodes.ClassAlu | OpCodes.Mov | OpCodes.SourceRegister, Dst = dst, Src = src });
}
