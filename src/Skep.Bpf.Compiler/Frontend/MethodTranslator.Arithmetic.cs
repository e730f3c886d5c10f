using System.Reflection.Metadata;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>Arithmetic, conversions and comparisons.</summary>
internal sealed partial class MethodTranslator
{
    private static readonly Condition[] s_branchConditions =
    [
        Condition.Equal, Condition.GreaterOrEqualSigned, Condition.GreaterSigned, Condition.LessOrEqualSigned, Condition.LessSigned,
        Condition.NotEqual, Condition.GreaterOrEqualUnsigned, Condition.GreaterUnsigned, Condition.LessOrEqualUnsigned, Condition.LessUnsigned,
    ];

    /// <summary>False when <paramref name="code"/> is no arithmetic.</summary>
    private bool Arithmetic(ILOpCode code)
    {
        switch (code)
        {
            case ILOpCode.Add:
                Binary(Op.Add);
                break;
            case ILOpCode.Sub:
                Binary(Op.Subtract);
                break;
            case ILOpCode.Mul:
                Binary(Op.Multiply);
                break;
            case ILOpCode.Div:
                Binary(Op.DivideSigned);
                break;
            case ILOpCode.Div_un:
                Binary(Op.DivideUnsigned);
                break;
            case ILOpCode.Rem:
                Binary(Op.RemainderSigned);
                break;
            case ILOpCode.Rem_un:
                Binary(Op.RemainderUnsigned);
                break;
            case ILOpCode.And:
                Binary(Op.And);
                break;
            case ILOpCode.Or:
                Binary(Op.Or);
                break;
            case ILOpCode.Xor:
                Binary(Op.Xor);
                break;
            case ILOpCode.Shl:
                Shift(Op.ShiftLeft);
                break;
            case ILOpCode.Shr:
                Shift(Op.ShiftRightSigned);
                break;
            case ILOpCode.Shr_un:
                Shift(Op.ShiftRightUnsigned);
                break;
            case ILOpCode.Neg:
            {
                var value = Pop().Node;
                Push(_builder.Emit(new Node(Op.Negate, value.Type).With(value)));
                break;
            }

            case ILOpCode.Not:
            {
                var value = Pop().Node;
                Push(_builder.Binary(Op.Xor, value.Type, value, Node.Const(value.Type, -1)));
                break;
            }

            case ILOpCode.Conv_i1:
                Narrow(8, true);
                break;
            case ILOpCode.Conv_u1:
                Narrow(8, false);
                break;
            case ILOpCode.Conv_i2:
                Narrow(16, true);
                break;
            case ILOpCode.Conv_u2:
                Narrow(16, false);
                break;
            case ILOpCode.Conv_i4 or ILOpCode.Conv_u4:
                Push(_builder.Truncate(Pop().Node));
                break;
            case ILOpCode.Conv_i8 or ILOpCode.Conv_i:
                Widen(true);
                break;
            case ILOpCode.Conv_u8 or ILOpCode.Conv_u:
                Widen(false);
                break;
            case ILOpCode.Add_ovf or ILOpCode.Add_ovf_un or ILOpCode.Sub_ovf or ILOpCode.Sub_ovf_un or ILOpCode.Mul_ovf or ILOpCode.Mul_ovf_un
                when _stack[^1].Node.IsConstant && _stack[^2].Node.IsConstant:
                Binary(code is ILOpCode.Add_ovf or ILOpCode.Add_ovf_un ? Op.Add : code is ILOpCode.Sub_ovf or ILOpCode.Sub_ovf_un ? Op.Subtract : Op.Multiply);
                break;
            case ILOpCode.Conv_ovf_u or ILOpCode.Conv_ovf_i or ILOpCode.Conv_ovf_i_un or ILOpCode.Conv_ovf_u_un or ILOpCode.Conv_ovf_i8 or ILOpCode.Conv_ovf_u8
                when _stack[^1].Node.IsConstant:
                Widen(false);
                break;
            case >= ILOpCode.Add_ovf and <= ILOpCode.Sub_ovf_un:
            case >= ILOpCode.Conv_ovf_i1_un and <= ILOpCode.Conv_ovf_u_un:
            case >= ILOpCode.Conv_ovf_i1 and <= ILOpCode.Conv_ovf_u8:
            case ILOpCode.Conv_ovf_i or ILOpCode.Conv_ovf_u:
                Fail(Rule.Exception, "checked arithmetic can throw; use unchecked(...) and compare yourself");
                break;
            default:
                return false;
        }

        return true;
    }

    private void Binary(Op op)
    {
        var b = Materialize(Pop().Node);
        var a = Materialize(Pop().Node);
        IrType type;
        if (a.Type == IrType.Pointer || b.Type == IrType.Pointer)
        {
            // The difference of two pointers is a number; masks of a pointer too.
            type = op == Op.Add || (op == Op.Subtract && b.Type != IrType.Pointer) ? IrType.Pointer : IrType.I64;
            if (op == Op.Add && a.Type != IrType.Pointer)
            {
                (a, b) = (b, a);
            }
        }
        else
        {
            type = a.Type == IrType.I64 || b.Type == IrType.I64 ? IrType.I64 : IrType.I32;
        }

        if (type != IrType.I32)
        {
            (a, b) = (Native(a), Native(b));
        }

        Push(_builder.Binary(op, type, a, b));
    }

    /// <summary>A 32-bit integer next to a native one counts as signed (ECMA-335 III.1.5).</summary>
    private Node Native(Node value) => value.Type == IrType.I32 ? _builder.SignExtend(value, 32, IrType.I64) : value;

    private void Shift(Op op)
    {
        var count = Pop().Node;
        var value = Materialize(Pop().Node);
        count = value.Type == IrType.I32 ? _builder.Truncate(count) : count.Type == IrType.I32 ? _builder.ZeroExtend(count) : count;

        // The CLR and BPF both use the low 5 or 6 bits of the count; C# masks it itself, which then costs nothing.
        var mask = value.Type == IrType.I32 ? 31 : 63;
        if (count.IsConstant)
        {
            count = Node.Const(count.Type, count.Immediate & mask);
        }
        else if (count.Op == Op.And && count.Operands[1].IsConstantValue(mask))
        {
            count = count.Operands[0];
        }

        Push(_builder.Binary(op, value.Type == IrType.Pointer ? IrType.I64 : value.Type, value, count));
    }

    private void Narrow(int bits, bool signed)
    {
        var value = _builder.Truncate(Materialize(Pop().Node));
        Push(signed
            ? _builder.SignExtend(value, bits, IrType.I32)
            : _builder.Binary(Op.And, IrType.I32, value, Node.Const(IrType.I32, (1 << bits) - 1)));
    }

    private void Widen(bool signed)
    {
        var value = Pop().Node;
        Push(value.Type != IrType.I32 ? value : signed ? _builder.SignExtend(value, 32, IrType.I64) : _builder.ZeroExtend(value));
    }

    private void Compare(Condition condition)
    {
        var (a, b) = PopPair();
        if (Builder.Decide(condition, a, b) is { } known)
        {
            Push(Node.Const(IrType.I32, known ? 1 : 0));
            return;
        }

        TrackBound(a, b);
        Push(_builder.Compare(condition, Materialize(a), Materialize(b)));
    }

    private void CompareAndBranch(int kind, IlInstruction il)
    {
        var (a, b) = PopPair();
        Branch(s_branchConditions[kind], a, b, (int)il.Operand, il.Next);
    }

    private void BranchOnZero(Condition condition, IlInstruction il)
    {
        var value = Pop().Node;
        Branch(condition, value, Node.Const(value.Type, 0), (int)il.Operand, il.Next);
    }

    private (Node A, Node B) PopPair()
    {
        var b = Pop().Node;
        var a = Pop().Node;
        if (a.Type == IrType.I32 != (b.Type == IrType.I32))
        {
            (a, b) = (Native(a), Native(b));
        }

        return (a, b);
    }
}
