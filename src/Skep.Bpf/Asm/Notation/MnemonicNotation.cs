using System.Globalization;
using static Skep.Bpf.Asm.OpCodes;

namespace Skep.Bpf.Asm.Notation;

/// <summary>
/// Reads mnemonics with operands, target first: <c>mov32 %r0, 5</c>, <c>ldxdw r1, [r2+8]</c>, <c>lock fetch add32 [r10-4], r1</c>,
/// as ubpf and the public conformance vectors write them.
/// </summary>
internal static class MnemonicNotation
{
    private static readonly Dictionary<string, (byte Operation, short Offset)> s_arithmetic = new()
    {
        ["add"] = (Add, 0), ["sub"] = (Sub, 0), ["mul"] = (Mul, 0), ["div"] = (Div, 0), ["sdiv"] = (Div, 1), ["or"] = (Or, 0), ["and"] = (And, 0),
        ["lsh"] = (Lsh, 0), ["rsh"] = (Rsh, 0), ["mod"] = (Mod, 0), ["smod"] = (Mod, 1), ["xor"] = (Xor, 0), ["mov"] = (Mov, 0), ["arsh"] = (Arsh, 0),
    };

    private static readonly Dictionary<string, byte> s_conditions = new()
    {
        ["jeq"] = Jeq, ["jgt"] = Jgt, ["jge"] = Jge, ["jset"] = Jset, ["jne"] = Jne, ["jsgt"] = Jsgt, ["jsge"] = Jsge,
        ["jlt"] = Jlt, ["jle"] = Jle, ["jslt"] = Jslt, ["jsle"] = Jsle,
    };

    private static readonly Dictionary<string, int> s_atomics = new()
    {
        ["add"] = AtomicAdd, ["or"] = AtomicOr, ["and"] = AtomicAnd, ["xor"] = AtomicXor, ["xchg"] = AtomicXchg, ["cmpxchg"] = AtomicCmpXchg,
    };

    private static readonly Dictionary<string, byte> s_sizes = new() { ["b"] = SizeB, ["h"] = SizeH, ["w"] = SizeW, ["dw"] = SizeDw };

    public static void Read(LineScanner s, CodeSink sink)
    {
        var column = s.Column;
        if (s.Word() is not { } mnemonic)
        {
            s.Fail("an instruction or a label");
            return;
        }

        var is32 = mnemonic.EndsWith("32", StringComparison.Ordinal);
        var stem = is32 || mnemonic.EndsWith("64", StringComparison.Ordinal) ? mnemonic[..^2] : mnemonic;
        if (s_arithmetic.TryGetValue(stem, out var arithmetic))
        {
            Arithmetic(s, sink, is32 ? ClassAlu : ClassAlu64, arithmetic.Operation, arithmetic.Offset);
        }
        else if (s_conditions.TryGetValue(stem, out var condition))
        {
            Conditional(s, sink, (is32 ? ClassJmp32 : ClassJmp) | condition);
        }
        else if (stem == "neg")
        {
            sink.Emit((is32 ? ClassAlu : ClassAlu64) | Neg, Operand(s), 0, 0, 0);
        }
        else if (!Memory(s, sink, mnemonic) && !Other(s, sink, mnemonic))
        {
            s.Return(column);
            s.Fail("an instruction");
        }
    }

    private static void Arithmetic(LineScanner s, CodeSink sink, int instructionClass, byte operation, short offset)
    {
        var dst = Operand(s);
        s.Expect(",");
        if (s.TryRegister(out var src, out _))
        {
            sink.Emit(instructionClass | operation | SourceRegister, dst, src, offset, 0);
        }
        else
        {
            sink.Emit(instructionClass | operation, dst, 0, offset, s.ExpectNumber("a number or a register").Immediate(bitsAllowed: true));
        }
    }

    private static void Conditional(LineScanner s, CodeSink sink, int code)
    {
        var dst = Operand(s);
        s.Expect(",");
        var immediate = 0;
        if (s.TryRegister(out var src, out _))
        {
            code |= SourceRegister;
        }
        else
        {
            immediate = s.ExpectNumber("a number or a register").Immediate(bitsAllowed: true);
        }

        s.Expect(",");
        Target(s, sink, code, dst, src, immediate);
    }

    private static void Target(LineScanner s, CodeSink sink, int code, byte dst, byte src, int immediate)
    {
        var column = s.Column;
        var isLong = code == (ClassJmp32 | Ja);
        if (KernelNotation.Distance(s) is { } distance)
        {
            sink.Emit(code, dst, src, isLong ? (short)0 : distance.Offset(), isLong ? distance.Immediate(bitsAllowed: false) : immediate);
        }
        else if (s.Word() is { } label)
        {
            sink.EmitTo(label, column, code, dst, src, immediate);
        }
        else
        {
            s.Fail("a label, or a distance like +3");
        }
    }

    private static bool Memory(LineScanner s, CodeSink sink, string mnemonic)
    {
        if (mnemonic == "lddw")
        {
            var target = Operand(s);
            s.Expect(",");
            var bits = s.ExpectNumber("a number").Bits;
            sink.EmitWide(target, 0, (int)bits, (int)(bits >> 32));
            return true;
        }

        if (mnemonic.StartsWith("ldxs", StringComparison.Ordinal) && s_sizes.TryGetValue(mnemonic[4..], out var size) && size != SizeDw)
        {
            Load(ModeMemSx);
            return true;
        }

        if (mnemonic.StartsWith("ldx", StringComparison.Ordinal) && s_sizes.TryGetValue(mnemonic[3..], out size))
        {
            Load(ModeMem);
            return true;
        }

        if (mnemonic.StartsWith("stx", StringComparison.Ordinal) && s_sizes.TryGetValue(mnemonic[3..], out size))
        {
            var (register, offset) = Address(s);
            s.Expect(",");
            sink.Emit(ClassStx | ModeMem | size, register, Operand(s), offset, 0);
            return true;
        }

        if (mnemonic.StartsWith("st", StringComparison.Ordinal) && s_sizes.TryGetValue(mnemonic[2..], out size))
        {
            var (register, offset) = Address(s);
            s.Expect(",");
            sink.Emit(ClassSt | ModeMem | size, register, 0, offset, s.ExpectNumber("a number").Immediate(bitsAllowed: true));
            return true;
        }

        if (mnemonic.StartsWith("ldabs", StringComparison.Ordinal) && s_sizes.TryGetValue(mnemonic[5..], out size) && size != SizeDw)
        {
            sink.Emit(ClassLd | ModeAbs | size, 0, 0, 0, s.ExpectNumber("a number").Immediate(bitsAllowed: true));
            return true;
        }

        if (mnemonic.StartsWith("ldind", StringComparison.Ordinal) && s_sizes.TryGetValue(mnemonic[5..], out size) && size != SizeDw)
        {
            var index = Operand(s);
            sink.Emit(ClassLd | ModeInd | size, 0, index, 0, s.Take(",") ? s.ExpectNumber("a number").Immediate(bitsAllowed: true) : 0);
            return true;
        }

        return false;

        void Load(byte mode)
        {
            var target = Operand(s);
            s.Expect(",");
            var (register, offset) = Address(s);
            sink.Emit(ClassLdx | mode | size, target, register, offset, 0);
        }
    }

    private static bool Other(LineScanner s, CodeSink sink, string mnemonic)
    {
        switch (mnemonic)
        {
            case "ja":
                Target(s, sink, ClassJmp | Ja, 0, 0, 0);
                return true;
            case "ja32":
                Target(s, sink, ClassJmp32 | Ja, 0, 0, 0);
                return true;
            case "lock":
                Locked(s, sink);
                return true;
            case "movsx832":
            case "movsx1632":
            case "movsx864":
            case "movsx1664":
            case "movsx3264":
                var from = short.Parse(mnemonic.AsSpan(5, mnemonic.Length - 7), NumberStyles.None, CultureInfo.InvariantCulture);
                var target = Operand(s);
                s.Expect(",");
                sink.Emit((mnemonic.EndsWith("32", StringComparison.Ordinal) ? ClassAlu : ClassAlu64) | SourceRegister | Mov, target, Operand(s), from, 0);
                return true;
            case "be16" or "be32" or "be64":
                Swap(ClassAlu | End | SourceRegister);
                return true;
            case "le16" or "le32" or "le64":
                Swap(ClassAlu | End);
                return true;
            case "swap16" or "swap32" or "swap64" or "bswap16" or "bswap32" or "bswap64":
                Swap(ClassAlu64 | End);
                return true;
            default:
                return false;
        }

        void Swap(int code) => sink.Emit(code, Operand(s), 0, 0, int.Parse(mnemonic[^2..], CultureInfo.InvariantCulture));
    }

    private static void Locked(LineScanner s, CodeSink sink)
    {
        var fetch = s.Take("fetch");
        var column = s.Column;
        var word = s.Word() ?? "";
        var is32 = word.EndsWith("32", StringComparison.Ordinal);
        if (!s_atomics.TryGetValue(is32 ? word[..^2] : word, out var kind))
        {
            s.Return(column);
            s.Fail("an atomic operation: add, or, and, xor, xchg or cmpxchg, with 32 behind it for 32 bits");
        }

        var (register, offset) = Address(s);
        s.Expect(",");
        sink.Emit(ClassStx | ModeAtomic | (is32 ? SizeW : SizeDw), register, Operand(s), offset, kind | (fetch ? AtomicFetch : 0));
    }

    private static (byte Register, short Offset) Address(LineScanner s)
    {
        s.Expect("[");
        var result = KernelNotation.Displacement(s);
        s.Expect("]");
        return result;
    }

    // The width is in the mnemonic, so that either name of a register will do.
    private static byte Operand(LineScanner s)
    {
        if (!s.TryRegister(out var register, out _))
        {
            s.Fail("a register, r0 to r10");
        }

        return register;
    }
}
