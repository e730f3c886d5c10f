using System.Numerics;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Analyses;

/// <summary>Which bits of a value can be set at all.</summary>
internal static class KnownBits
{
    private const int DepthLimit = 6;

    /// <summary>Mask of the bits that may be one; the others are known to be zero.</summary>
    public static ulong PossibleBits(Node node) => PossibleBits(node, 0, false);

    /// <summary>
    /// The same, but only as far as the kernel's verifier follows: it knows nothing of a quotient, a remainder or swapped bytes.
    /// Masks and comparisons go only when this says so, for they may be what bounds an offset.
    /// </summary>
    public static ulong VerifiedBits(Node node) => PossibleBits(node, 0, true);

    private static ulong PossibleBits(Node node, int depth, bool strict)
    {
        var width = node.Type == IrType.I32 ? uint.MaxValue : ulong.MaxValue;
        if (depth > DepthLimit)
        {
            return width;
        }

        switch (node.Op)
        {
            case Op.Constant:
                return (ulong)node.Immediate & width;
            case Op.Load:
                return node.Size == 8 ? ulong.MaxValue : (1UL << (node.Size * 8)) - 1;
            case Op.Compare:
                return 1;
            case Op.And:
                return PossibleBits(node.Operands[0], depth + 1, strict) & PossibleBits(node.Operands[1], depth + 1, strict);
            case Op.Or:
            case Op.Xor:
                return PossibleBits(node.Operands[0], depth + 1, strict) | PossibleBits(node.Operands[1], depth + 1, strict);
            case Op.Add:
            {
                // A sum has at most one bit more than the wider operand.
                var bits = PossibleBits(node.Operands[0], depth + 1, strict) | PossibleBits(node.Operands[1], depth + 1, strict);
                var length = BitOperations.Log2(bits | 1) + 2;
                return (length >= 64 ? ulong.MaxValue : (1UL << length) - 1) & width;
            }

            case Op.Multiply:
            {
                // Kernels before 6.14 know nothing of a product of 32 bits with a factor of more than 16.
                var (a, b) = (BitLength(node.Operands[0], depth, strict), BitLength(node.Operands[1], depth, strict));
                var unknown = strict ? a + b > 32 || (node.Type == IrType.I32 && (a > 16 || b > 16)) : a + b > 63;
                return (unknown ? ulong.MaxValue : (1UL << (a + b)) - 1) & width;
            }

            case Op.ShiftLeft when node.Operands[1].IsConstant:
                return (PossibleBits(node.Operands[0], depth + 1, strict) << (int)(node.Operands[1].Immediate & 63)) & width;
            case Op.ShiftRightUnsigned when node.Operands[1].IsConstant:
                return PossibleBits(node.Operands[0], depth + 1, strict) >> (int)(node.Operands[1].Immediate & 63);
            case Op.ZeroExtend:
                return PossibleBits(node.Operands[0], depth + 1, strict) & uint.MaxValue;
            case Op.Truncate:
                return PossibleBits(node.Operands[0], depth + 1, strict) & uint.MaxValue;
            case Op.ByteSwap when !strict:
                return node.Immediate == 64 ? ulong.MaxValue : (1UL << (int)node.Immediate) - 1;
            case Op.DivideUnsigned when !strict:
                return Fill(PossibleBits(node.Operands[0], depth + 1, strict)) & width;
            case Op.RemainderUnsigned when !strict:
            {
                // At most the dividend, and below the divisor unless that is zero, which leaves the dividend.
                var divisor = node.Operands[1].IsConstantValue(0) ? 0 : PossibleBits(node.Operands[1], depth + 1, strict);
                var dividend = Fill(PossibleBits(node.Operands[0], depth + 1, strict));
                return node.Operands[1].IsConstant && divisor != 0 ? dividend & Fill(divisor) : dividend;
            }

            case Op.Phi:
            {
                ulong bits = 0;
                foreach (var operand in node.Operands)
                {
                    bits |= operand == node ? 0 : PossibleBits(operand, depth + 2, strict);
                }

                return bits & width;
            }

            default:
                return width;
        }
    }

    /// <summary>Whether the sign bit of the value's type is known to be clear.</summary>
    public static bool IsNonNegative(Node node) =>
        (PossibleBits(node) & (node.Type == IrType.I32 ? 1UL << 31 : 1UL << 63)) == 0;

    /// <summary>
    /// Whether the verifier knows nothing of the upper half of a 32-bit value, although it is zero: after a shift by a number that is no constant (before kernel 6.10 by
    /// one that may be more than 31), and after what it does not compute (<c>is_safe_to_compute_dst_reg_range</c> and BPF_END in kernel/bpf/verifier.c).
    /// </summary>
    public static bool IsVagueAbove(Node value) => value.Type == IrType.I32 && value.Op switch
    {
        Op.ShiftLeft or Op.ShiftRightUnsigned or Op.ShiftRightSigned => !value.Operands[1].IsConstant,
        Op.DivideSigned or Op.RemainderSigned or Op.DivideUnsigned or Op.RemainderUnsigned or Op.Negate or Op.ByteSwap => true,
        _ => false,
    };

    private static int BitLength(Node node, int depth, bool strict)
    {
        var bits = PossibleBits(node, depth + 1, strict);
        return bits == 0 ? 0 : BitOperations.Log2(bits) + 1;
    }

    private static ulong Fill(ulong bits) => bits == 0 ? 0 : ulong.MaxValue >> BitOperations.LeadingZeroCount(bits);
}
