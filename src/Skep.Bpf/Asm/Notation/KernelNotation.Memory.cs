using static Skep.Bpf.Asm.OpCodes;

namespace Skep.Bpf.Asm.Notation;

/// <content>Loads, stores and atomic operations.</content>
internal static partial class KernelNotation
{
    private static void Load(LineScanner s, CodeSink sink, byte dst, bool half)
    {
        s.Expect("(");
        var column = s.Column;
        var signed = s.Next == 's';
        var size = Size(s, signedAllowed: true);
        s.Expect("*");
        s.Expect(")");
        if (half && (size == SizeDw || signed))
        {
            throw new AsmLineException(column, $"expected r{dst} as the target: this load fills 64 bits");
        }

        if (s.Take("skb"))
        {
            Packet(s, sink, dst, size, signed, column);
            return;
        }

        var (src, offset) = Memory(s);
        sink.Emit(ClassLdx | (signed ? ModeMemSx : ModeMem) | size, dst, src, offset, 0);
    }

    // Packet loads of classic BPF give their result in R0 always.
    private static void Packet(LineScanner s, CodeSink sink, byte dst, byte size, bool signed, int column)
    {
        if (dst != Register.R0 || signed || size == SizeDw)
        {
            throw new AsmLineException(column, "expected r0 = *(u8 *)skb[...], with u8, u16 or u32: packet loads know no other form");
        }

        s.Expect("[");
        if (s.TryRegister(out var index, out _))
        {
            sink.Emit(ClassLd | ModeInd | size, 0, index, 0, s.Take("+") || s.Next == '-' ? s.ExpectNumber("a number").Immediate(bitsAllowed: false) : 0);
        }
        else
        {
            sink.Emit(ClassLd | ModeAbs | size, 0, 0, 0, s.ExpectNumber("a number, or a register and a number").Immediate(bitsAllowed: true));
        }

        s.Expect("]");
    }

    private static void Store(LineScanner s, CodeSink sink)
    {
        var (size, dst, offset) = TypedMemory(s);
        s.Expect("=");
        if (s.TryNumber(out var number))
        {
            sink.Emit(ClassSt | ModeMem | size, dst, 0, offset, number.Immediate(bitsAllowed: size != SizeDw));
        }
        else
        {
            sink.Emit(ClassStx | ModeMem | size, dst, ValueRegister(s, size), offset, 0);
        }
    }

    private static void LockedStore(LineScanner s, CodeSink sink)
    {
        var (size, dst, offset) = TypedMemory(s);
        int? kind = s.Take("+=") ? AtomicAdd : s.Take("|=") ? AtomicOr : s.Take("&=") ? AtomicAnd : s.Take("^=") ? AtomicXor : null;
        if (kind is null)
        {
            s.Fail("+= |= &= or ^=");
        }

        sink.Emit(ClassStx | ModeAtomic | AtomicSize(size, s), dst, ValueRegister(s, size), offset, kind.Value);
    }

    /// <summary>Atomic operations with a result: <c>r1 = atomic64_fetch_add((u64 *)(r2 +0), r1)</c> of the kernel, <c>r1 = xchg_64(r2 + 0, r1)</c> of LLVM.</summary>
    private static bool Atomic(LineScanner s, CodeSink sink, byte dst, bool half, string word, int column)
    {
        if (word == "load_acquire")
        {
            s.Expect("(");
            var (loadSize, src, loadOffset) = TypedMemory(s);
            s.Expect(")");
            sink.Emit(ClassStx | ModeAtomic | loadSize, dst, src, loadOffset, AtomicLoadAcquire);
            return true;
        }

        var name = word.Replace("atomic64_", "atomic_", StringComparison.Ordinal);
        int? kind = name switch
        {
            "atomic_fetch_add" => AtomicAdd | AtomicFetch,
            "atomic_fetch_or" => AtomicOr | AtomicFetch,
            "atomic_fetch_and" => AtomicAnd | AtomicFetch,
            "atomic_fetch_xor" => AtomicXor | AtomicFetch,
            "atomic_xchg" or "xchg_64" or "xchg32_32" => AtomicXchg,
            "atomic_cmpxchg" or "cmpxchg_64" or "cmpxchg32_32" => AtomicCmpXchg,
            _ => null,
        };
        if (kind is null)
        {
            return false;
        }

        s.Expect("(");
        byte size, address;
        short offset;
        if (name.StartsWith("atomic_", StringComparison.Ordinal))
        {
            (size, address, offset) = TypedMemory(s);
            AtomicSize(size, s);
        }
        else
        {
            (size, (address, offset)) = (name.EndsWith("_64", StringComparison.Ordinal) ? SizeDw : SizeW, Displacement(s));
        }

        s.Expect(",");
        var value = ValueRegister(s, size);
        if (kind == AtomicCmpXchg)
        {
            if (value != Register.R0 || dst != Register.R0)
            {
                throw new AsmLineException(column, "expected r0 as result and as the value compared with: no other register can be");
            }

            s.Expect(",");
            value = ValueRegister(s, size);
        }
        else if (value != dst || (half && size == SizeDw))
        {
            throw new AsmLineException(column, $"expected the same register as result and as operand: the old value replaces r{value}");
        }

        s.Expect(")");
        sink.Emit(ClassStx | ModeAtomic | size, address, value, offset, kind.Value);
        return true;
    }

    private static byte AtomicSize(byte size, LineScanner s)
    {
        if (size is not (SizeW or SizeDw))
        {
            s.Return(1);
            s.Fail("u32 or u64, which is what atomic operations work on");
        }

        return size;
    }

    /// <summary><c>(u32 *)(r1 + 8)</c></summary>
    private static (byte Size, byte Register, short Offset) TypedMemory(LineScanner s)
    {
        s.Expect("(");
        var size = Size(s, signedAllowed: false);
        s.Expect("*");
        s.Expect(")");
        var (register, offset) = Memory(s);
        return (size, register, offset);
    }

    private static (byte Register, short Offset) Memory(LineScanner s)
    {
        s.Expect("(");
        var result = Displacement(s);
        s.Expect(")");
        return result;
    }

    internal static (byte Register, short Offset) Displacement(LineScanner s)
    {
        var register = s.ExpectRegister(half: false);
        return (register, s.Next is '+' or '-' ? s.ExpectNumber("a distance").Offset() : (short)0);
    }

    private static byte Size(LineScanner s, bool signedAllowed)
    {
        byte? size = s.Take("u8") ? SizeB : s.Take("u16") ? SizeH : s.Take("u32") ? SizeW : s.Take("u64") ? SizeDw
            : !signedAllowed ? null
            : s.Take("s8") ? SizeB : s.Take("s16") ? SizeH : s.Take("s32") ? SizeW : null;
        if (size is null)
        {
            s.Fail(signedAllowed ? "u8, u16, u32, u64, s8, s16 or s32" : "u8, u16, u32 or u64");
        }

        return size.Value;
    }

    /// <summary>A register that goes to or comes from memory: LLVM writes <c>w1</c> where only its lower half counts.</summary>
    private static byte ValueRegister(LineScanner s, byte size)
    {
        var column = s.Column;
        if (!s.TryRegister(out var register, out var half))
        {
            s.Fail("a register");
        }

        return half && size == SizeDw
            ? throw new AsmLineException(column, $"expected r{register}: 64 bits go to memory")
            : register;
    }
}
