using System.Buffers.Binary;
using System.Numerics;
using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Passes;

/// <summary>
/// Local rewriting of one instruction: constants, identities, canonical forms. Returns the value to use instead, or null when there is nothing better.
/// A node that is returned may be new; it then has no block yet. The node itself may be changed in place to a cheaper form.
/// Never re-associates a variable added to a pointer: the verifier tracks the pointer that was compared, and only that one.
/// </summary>
internal static class Simplifier
{
    public static Node? Simplify(Node node)
    {
        switch (node.Op)
        {
            case Op.Add:
            case Op.Subtract:
            case Op.Multiply:
            case Op.And:
            case Op.Or:
            case Op.Xor:
            case Op.ShiftLeft:
            case Op.ShiftRightUnsigned:
            case Op.ShiftRightSigned:
            case Op.DivideUnsigned:
            case Op.RemainderUnsigned:
            case Op.DivideSigned:
            case Op.RemainderSigned:
                return Binary(node);
            case Op.Negate when node.Operands[0].IsConstant:
                return Node.Const(node.Type, -node.Operands[0].Immediate);
            case Op.ByteSwap when node.Operands[0].IsConstant:
                return Node.Const(node.Type, Swap(node.Operands[0].Immediate, (int)node.Immediate));
            case Op.ByteSwap when node.Operands[0] is { Op: Op.ByteSwap } inner && inner.Immediate == node.Immediate
                && (KnownBits.PossibleBits(inner.Operands[0]) >> 1 >> (int)(node.Immediate - 1)) == 0:
                return inner.Operands[0];
            case Op.ZeroExtend:
                return node.Operands[0] switch
                {
                    { IsConstant: true } c => Node.Const(IrType.I64, (uint)c.Immediate),
                    { Op: Op.Truncate } t when t.Operands[0].Type == IrType.I64 && IsFreeTruncation(t) => t.Operands[0],
                    _ => null,
                };
            case Op.SignExtend:
                return SignExtend(node);
            case Op.Truncate:
                return node.Operands[0] switch
                {
                    { IsConstant: true } c => Node.Const(IrType.I32, c.Immediate),
                    { Op: Op.ZeroExtend } z => z.Operands[0],
                    { Op: Op.SignExtend, Immediate: 32 } s => s.Operands[0],
                    _ => null,
                };
            case Op.Compare:
                return Compare(node);
            case Op.Phi:
                return Phi(node);
            case Op.Branch:
                Branch(node);
                return null;
            case Op.Load:
                FoldAddress(node);
                return node.Operands[0] is { Op: Op.MapValue, Payload: ConstantTable table } && node.Type != IrType.Pointer && table.Read(node.Immediate, node.Size) is { } constant
                    ? Node.Const(node.Type, constant)
                    : null;
            case Op.Store:
            case Op.Atomic:
                FoldAddress(node);
                return null;
            default:
                return null;
        }
    }

    /// <summary>
    /// Nothing is cut off, and the verifier loses nothing: a mask may be gone because the verifier knew the lower half of a value whose upper half only we know,
    /// and where the lower half is compared it learns nothing of a whole that it takes for more.
    /// </summary>
    private static bool IsFreeTruncation(Node truncation)
    {
        var whole = truncation.Operands[0];
        return KnownBits.PossibleBits(whole) <= uint.MaxValue
            && !whole.IsComparedByHalf && (KnownBits.VerifiedBits(whole) <= uint.MaxValue || KnownBits.VerifiedBits(truncation) == uint.MaxValue);
    }

    private static Node? Binary(Node node)
    {
        var (a, b) = (node.Operands[0], node.Operands[1]);
        if (node.Op is Op.ShiftLeft or Op.ShiftRightUnsigned or Op.ShiftRightSigned && b.IsConstant)
        {
            // In a register the count is taken modulo the width; as an immediate the kernel refuses more.
            b = Node.Const(b.Type, b.Immediate & (node.Type == IrType.I32 ? 31 : 63));
            node.Operands[1] = b;
        }

        if (a.IsConstant && b.IsConstant)
        {
            return Fold(node, a.Immediate, b.Immediate) is { } value ? Node.Const(node.Type == IrType.Pointer ? IrType.I64 : node.Type, value) : null;
        }

        if (a.IsConstant && node.Op is Op.Add or Op.Multiply or Op.And or Op.Or or Op.Xor)
        {
            (a, b) = (b, a);
            (node.Operands[0], node.Operands[1]) = (a, b);
        }

        if (node.Op == Op.Subtract && b.IsConstant)
        {
            node.Op = Op.Add;
            b = Node.Const(b.Type, -b.Immediate);
            node.Operands[1] = b;
        }

        if (!b.IsConstant)
        {
            if (a.IsConstantValue(0) && node.Op is >= Op.Multiply and <= Op.RemainderSigned or >= Op.ShiftLeft and <= Op.ShiftRightSigned)
            {
                return Node.Const(node.Type, 0);
            }

            if (a == b && node.Type != IrType.Pointer)
            {
                switch (node.Op)
                {
                    case Op.Subtract or Op.Xor:
                        return Node.Const(node.Type, 0);
                    case Op.And or Op.Or:
                        return a;
                }
            }

            return null;
        }

        var c = b.Immediate;
        var mask = node.Type == IrType.I32 ? uint.MaxValue : ulong.MaxValue;
        switch (node.Op)
        {
            case Op.Add when c == 0:
            case Op.Or when c == 0:
            case Op.Xor when c == 0:
            case Op.ShiftLeft or Op.ShiftRightUnsigned or Op.ShiftRightSigned when c == 0:
            case Op.Multiply or Op.DivideUnsigned or Op.DivideSigned when c == 1:
                return a;
            case Op.Multiply or Op.And when c == 0:
            case Op.RemainderUnsigned when c == 1:
                return Node.Const(node.Type, 0);
            case Op.And when (KnownBits.PossibleBits(a) & ((ulong)c & mask)) == 0:
                return Node.Const(node.Type, 0);
            case Op.And when (KnownBits.VerifiedBits(a) & ~((ulong)c & mask)) == 0:
                return a;
            // What is computed from a number that was compared stays so: that is how the verifier knows its bounds.
            case Op.Add when a.Op == Op.Add && a.Operands[1].IsConstant && (node.Type == IrType.Pointer || !a.IsCompared):
            case Op.And when a.Op == Op.And && a.Operands[1].IsConstant:
            case Op.Or when a.Op == Op.Or && a.Operands[1].IsConstant:
            case Op.Xor when a.Op == Op.Xor && a.Operands[1].IsConstant:
                node.Operands[1] = Node.Const(b.Type, Fold(node, a.Operands[1].Immediate, c)!.Value);
                node.Operands[0] = a.Operands[0];
                return Binary(node);
            case Op.ShiftLeft when a.Op == Op.ShiftLeft && a.Operands[1].IsConstant && a.Operands[1].Immediate + c < (node.Type == IrType.I32 ? 32 : 64):
            case Op.ShiftRightUnsigned when a.Op == Op.ShiftRightUnsigned && a.Operands[1].IsConstant && a.Operands[1].Immediate + c < (node.Type == IrType.I32 ? 32 : 64):
                node.Operands[1] = Node.Const(b.Type, a.Operands[1].Immediate + c);
                node.Operands[0] = a.Operands[0];
                return null;

            // (x >> s) << s clears the low bits.
            case Op.ShiftLeft when a.Op == Op.ShiftRightUnsigned && a.Operands[1].IsConstantValue(c) && FitsImmediate(node.Type, (long)(mask << (int)c)):
                node.Op = Op.And;
                node.Operands[0] = a.Operands[0];
                node.Operands[1] = Node.Const(node.Type, (long)(mask << (int)c));
                return Binary(node);
            case Op.Multiply when BitOperations.IsPow2((ulong)c & mask):
                node.Op = Op.ShiftLeft;
                node.Operands[1] = Node.Const(node.Type, BitOperations.Log2((ulong)c & mask));
                return null;
            case Op.DivideUnsigned when BitOperations.IsPow2((ulong)c & mask):
                node.Op = Op.ShiftRightUnsigned;
                node.Operands[1] = Node.Const(node.Type, BitOperations.Log2((ulong)c & mask));
                return null;
            case Op.RemainderUnsigned when BitOperations.IsPow2((ulong)c & mask):
                node.Op = Op.And;
                node.Operands[1] = Node.Const(node.Type, c - 1);
                return Binary(node);
            case Op.DivideSigned or Op.RemainderSigned when c > 0 && (node.Type == IrType.I64 || c <= int.MaxValue) && KnownBits.IsNonNegative(a):
                node.Op = node.Op == Op.DivideSigned ? Op.DivideUnsigned : Op.RemainderUnsigned;
                return Binary(node);
            case Op.ShiftRightSigned when KnownBits.IsNonNegative(a):
                node.Op = Op.ShiftRightUnsigned;
                return Binary(node);
            case Op.ShiftRightUnsigned when KnownBits.PossibleBits(a) >> (int)c == 0:
                return Node.Const(node.Type, 0);
            default:
                return null;
        }
    }

    private static Node? SignExtend(Node node)
    {
        var a = node.Operands[0];
        var bits = (int)node.Immediate;
        if (a.IsConstant)
        {
            return Node.Const(node.Type, a.Immediate << (64 - bits) >> (64 - bits));
        }

        if ((KnownBits.PossibleBits(a) >> (bits - 1)) != 0)
        {
            return null;
        }

        if (node.Type == a.Type)
        {
            return a;
        }

        node.Op = Op.ZeroExtend;
        return Simplify(node);
    }

    private static Node? Compare(Node node)
    {
        Canonicalize(node);
        var (a, b) = (node.Operands[0], node.Operands[1]);
        if (Decide(node.Condition, a, b) is { } known)
        {
            return Node.Const(IrType.I32, known ? 1 : 0);
        }

        // (x cond y) == 0 and != 0
        if (a.Op == Op.Compare && b.IsConstant && node.Condition is Condition.Equal or Condition.NotEqual && b.IsConstant && b.Immediate is 0 or 1)
        {
            var keep = (node.Condition == Condition.NotEqual) == (b.Immediate == 0);
            if (keep)
            {
                return a;
            }

            node.Condition = a.Condition.Negate();
            node.With(a.Operands[0], a.Operands[1]);
            return null;
        }

        return null;
    }

    private static void Branch(Node node)
    {
        Canonicalize(node);
        while (node.Operands[0] is { Op: Op.Compare } compare && node.Operands[1] is { IsConstant: true, Immediate: 0 or 1 } b
            && node.Condition is Condition.Equal or Condition.NotEqual)
        {
            var keep = (node.Condition == Condition.NotEqual) == (b.Immediate == 0);
            node.Condition = keep ? compare.Condition : compare.Condition.Negate();
            node.With(compare.Operands[0], compare.Operands[1]);
            Canonicalize(node);
        }
    }

    /// <summary>Constant to the right, extensions stripped, signed comparisons of non-negative values made unsigned.</summary>
    private static void Canonicalize(Node node)
    {
        if (node.Operands[0].IsConstant && !node.Operands[1].IsConstant)
        {
            (node.Operands[0], node.Operands[1]) = (node.Operands[1], node.Operands[0]);
            node.Condition = node.Condition.Swap();
        }

        var (a, b) = (node.Operands[0], node.Operands[1]);
        if (node.Condition.IsSigned() && KnownBits.IsNonNegative(a) && KnownBits.IsNonNegative(b))
        {
            node.Condition = node.Condition.ToUnsigned();
        }

        if (b.IsConstant && a.Type != IrType.Pointer)
        {
            // x > 0 is x != 0, x < 1 is x == 0, and so on: the forms that other rules know.
            switch (node.Condition)
            {
                case Condition.GreaterUnsigned when b.Immediate == 0:
                    node.Condition = Condition.NotEqual;
                    break;
                case Condition.GreaterOrEqualUnsigned when b.Immediate == 1:
                    node.Condition = Condition.NotEqual;
                    node.Operands[1] = Node.Const(b.Type, 0);
                    break;
                case Condition.Equal or Condition.NotEqual when b.Immediate == 0 && a is { Op: Op.ShiftRightUnsigned } shift && shift.Operands[1].IsConstant
                    && shift.Operands[1].Immediate < (a.Type == IrType.I32 ? 31 : 30):
                    // Nothing is left when it was below 2^n.
                    node.Condition = node.Condition == Condition.Equal ? Condition.LessUnsigned : Condition.GreaterOrEqualUnsigned;
                    node.Operands[1] = Node.Const(b.Type, 1L << (int)shift.Operands[1].Immediate);
                    node.Operands[0] = shift.Operands[0];
                    break;
                case Condition.LessUnsigned when b.Immediate == 1:
                case Condition.LessOrEqualUnsigned when b.Immediate == 0:
                    node.Condition = Condition.Equal;
                    node.Operands[1] = Node.Const(b.Type, 0);
                    break;
            }
        }

        (a, b) = (node.Operands[0], node.Operands[1]);
        if (a.Op == Op.ZeroExtend && !node.Condition.IsSigned())
        {
            if (b.IsConstant && (ulong)b.Immediate <= uint.MaxValue)
            {
                node.Operands[0] = a.Operands[0];
                node.Operands[1] = Node.Const(IrType.I32, b.Immediate);
            }
            else if (b.Op == Op.ZeroExtend)
            {
                node.Operands[0] = a.Operands[0];
                node.Operands[1] = b.Operands[0];
            }
        }

        // A masked comparison of swapped values compares the values themselves: constants are swapped once, here.
        (a, b) = (node.Operands[0], node.Operands[1]);
        if (a.Op == Op.ByteSwap && node.Condition is Condition.Equal or Condition.NotEqual)
        {
            var bits = (int)a.Immediate;
            var whole = (KnownBits.PossibleBits(a.Operands[0]) >> 1 >> (bits - 1)) == 0;
            if (whole && b.IsConstant && ((ulong)b.Immediate >> 1 >> (bits - 1)) == 0)
            {
                node.Operands[1] = Node.Const(b.Type, Swap(b.Immediate, bits));
                node.Operands[0] = a.Operands[0];
            }
            else if (whole && b.Op == Op.ByteSwap && b.Immediate == bits && (KnownBits.PossibleBits(b.Operands[0]) >> 1 >> (bits - 1)) == 0)
            {
                node.Operands[0] = a.Operands[0];
                node.Operands[1] = b.Operands[0];
            }
        }
    }

    /// <summary>The outcome of a comparison when it is known.</summary>
    public static bool? Decide(Condition condition, Node a, Node b)
    {
        if (a.IsConstant && b.IsConstant)
        {
            return condition.Evaluate(a.Type, a.Immediate, b.Immediate);
        }

        if (b.IsConstantValue(0) && (a.Op is Op.FrozenObject or Op.FrozenStruct or Op.Map or Op.MapValue or Op.Alloca or Op.Context || a is { Op: Op.Add, Type: IrType.Pointer, Operands: [{ Op: Op.MapValue }, _] }))
        {
            // An object, a stack slot and a variable are never null, nor is what lies in a variable.
            return condition is Condition.NotEqual or Condition.GreaterUnsigned;
        }

        if (a.IsFrozen && b.IsFrozen && condition is Condition.Equal or Condition.NotEqual)
        {
            return ReferenceEquals(a.Payload, b.Payload) == (condition == Condition.Equal);
        }

        if (a == b && a.Type != IrType.Pointer)
        {
            return condition is Condition.Equal or Condition.LessOrEqualSigned or Condition.LessOrEqualUnsigned or Condition.GreaterOrEqualSigned or Condition.GreaterOrEqualUnsigned;
        }

        if (b.IsConstant && a.Type != IrType.Pointer && !condition.IsSigned())
        {
            var most = KnownBits.VerifiedBits(a);
            var c = a.Type == IrType.I32 ? (uint)b.Immediate : (ulong)b.Immediate;
            if (most < c)
            {
                return condition is Condition.NotEqual or Condition.LessUnsigned or Condition.LessOrEqualUnsigned;
            }

            if ((c & ~most) != 0 && condition is Condition.Equal or Condition.NotEqual)
            {
                return condition == Condition.NotEqual;
            }

            switch (condition)
            {
                case Condition.LessUnsigned when c == 0:
                    return false;
                case Condition.GreaterOrEqualUnsigned when c == 0:
                    return true;
                case Condition.GreaterUnsigned when most <= c:
                    return false;
                case Condition.LessOrEqualUnsigned when most <= c:
                    return true;
            }
        }

        return null;
    }

    /// <summary>The one value that comes in, directly or through other phis that have it from each other: loops in loops that change nothing.</summary>
    private static Node? Phi(Node node)
    {
        return Only([node], 1) ?? (node.Operands.Exists(o => o.Op == Op.Phi && o != node) ? Only([node, null, null, null], 1) : null);

        // Of what comes into the phis, and into the phis that come into them as far as there is room.
        static Node? Only(Span<Node?> phis, int count)
        {
            Node? single = null;
            for (var i = 0; i < count; i++)
            {
                foreach (var entry in phis[i]!.Operands)
                {
                    var operand = entry.Resolve();
                    if (operand == single || phis.Contains(operand))
                    {
                        continue;
                    }

                    if (count < phis.Length && operand.Op == Op.Phi)
                    {
                        phis[count++] = operand;
                    }
                    else if (single is not null && !(single.IsConstant && operand.IsConstantValue(single.Immediate) && operand.Type == single.Type))
                    {
                        return null;
                    }
                    else
                    {
                        single ??= operand;
                    }
                }
            }

            return single;
        }
    }

    /// <summary>Moves a constant part of the address into the displacement.</summary>
    private static void FoldAddress(Node node)
    {
        while (node.Operands[0] is { Op: Op.Add } add && add.Operands[1].IsConstant
            && node.Immediate + add.Operands[1].Immediate is >= short.MinValue and <= short.MaxValue)
        {
            node.Immediate += add.Operands[1].Immediate;
            node.Operands[0] = add.Operands[0];
        }
    }

    private static long? Fold(Node node, long a, long b)
    {
        if (node.Type == IrType.I32)
        {
            var (x, y) = ((uint)a, (uint)b);
            return node.Op switch
            {
                Op.Add => x + y,
                Op.Subtract => x - y,
                Op.Multiply => x * y,
                Op.And => x & y,
                Op.Or => x | y,
                Op.Xor => x ^ y,
                Op.ShiftLeft => x << (int)y,
                Op.ShiftRightUnsigned => x >> (int)y,
                Op.ShiftRightSigned => (int)x >> (int)y,
                Op.DivideUnsigned => y == 0 ? 0 : x / y,
                Op.RemainderUnsigned => y == 0 ? x : x % y,
                Op.DivideSigned => y == 0 ? 0 : y == uint.MaxValue ? -(int)x : (int)x / (int)y,
                Op.RemainderSigned => y == 0 ? (int)x : y == uint.MaxValue ? 0 : (int)x % (int)y,
                _ => null,
            };
        }

        return node.Op switch
        {
            Op.Add => a + b,
            Op.Subtract => a - b,
            Op.Multiply => a * b,
            Op.And => a & b,
            Op.Or => a | b,
            Op.Xor => a ^ b,
            Op.ShiftLeft => a << (int)b,
            Op.ShiftRightUnsigned => (long)((ulong)a >> (int)b),
            Op.ShiftRightSigned => a >> (int)b,
            Op.DivideUnsigned => b == 0 ? 0 : (long)((ulong)a / (ulong)b),
            Op.RemainderUnsigned => b == 0 ? a : (long)((ulong)a % (ulong)b),
            Op.DivideSigned => b == 0 ? 0 : b == -1 ? -a : a / b,
            Op.RemainderSigned => b == 0 ? a : b == -1 ? 0 : a % b,
            _ => null,
        };
    }

    public static bool FitsImmediate(IrType type, long value) => type == IrType.I32 || value is >= int.MinValue and <= int.MaxValue;

    private static long Swap(long value, int bits) => bits switch
    {
        16 => BinaryPrimitives.ReverseEndianness((ushort)value),
        32 => BinaryPrimitives.ReverseEndianness((uint)value),
        _ => BinaryPrimitives.ReverseEndianness(value),
    };
}
