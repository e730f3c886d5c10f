using Skep.Bpf.Asm;
using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Ir;
using Skep.Bpf.Compiler.Passes;

namespace Skep.Bpf.Compiler.Emit;

/// <summary>Numbers of 32 bits in registers of 64, as the verifier sees them: a comparison of halves bounds the whole only where it knows that the upper half is zero.</summary>
internal sealed partial class Selection
{
    private readonly HashSet<Node> _halves = [];

    /// <summary>
    /// The 32-bit values of which the verifier must know that the upper half is zero. Those that are compared as such, which there are from level 3 on; those whose
    /// upper bits, as far as the verifier knows, would come down in a bound or an offset; and what all of these are joined from.
    /// </summary>
    private void FindHalves()
    {
        var asked = new Stack<Node>();
        var nodes = _function.Blocks.SelectMany(static b => b.Nodes);
        foreach (var node in nodes.Where(n => _target.IsaLevel >= 3 && n.Op is Op.Branch or Op.Compare && ComparesHalves(n.Condition, n.Operands[0], n.Operands[1])))
        {
            asked.Push(node.Operands[0]);
            asked.Push(node.Operands[1]);
        }

        if (nodes.Any(KnownBits.IsVagueAbove) && nodes.Any(KeepsUpperBits))
        {
            var bounding = IdleMasks.Bounding(_function);
            foreach (var node in nodes.Where(n => bounding.Contains(n) && KeepsUpperBits(n)))
            {
                asked.Push(node.Operands[0]);
                asked.Push(node.Operands[1]);
            }
        }

        while (asked.TryPop(out var node))
        {
            var passesOn = node.Op is Op.Phi or Op.ZeroExtend || (node.Type == IrType.I64 && node.Op is Op.Add or Op.And or Op.Or or Op.Xor or Op.ShiftLeft);
            if (_halves.Add(node) && passesOn)
            {
                foreach (var operand in node.Operands)
                {
                    asked.Push(operand);
                }
            }
        }
    }

    /// <summary>
    /// Whether bits of the upper half are left, or come down: a shift of 64 bits, and below level 3 arithmetic of 32 that is made of that of 64 and after which the upper
    /// half is not cleared, see <see cref="OldInstructions"/>.
    /// </summary>
    private bool KeepsUpperBits(Node node) => node.Op switch
    {
        Op.ShiftRightUnsigned => node.Type == IrType.I64 || _target.IsaLevel < 3,
        Op.Or or Op.Xor => node.Type == IrType.I32 && _target.IsaLevel < 3,
        Op.And => node.Type == IrType.I32 && _target.IsaLevel < 3 && (!node.Operands[1].IsConstant || node.Operands[1].Immediate > int.MaxValue),
        _ => StaysInHalf(node),
    };

    /// <summary>Tells the verifier of a value that is compared as a half, or used as a whole, that its upper half is zero, where it does not know.</summary>
    private void ClearAbove(Node node)
    {
        if (_halves.Contains(node) && KnownBits.IsVagueAbove(node))
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
