using System.Globalization;
using static Skep.Bpf.Asm.OpCodes;

namespace Skep.Bpf.Asm.Notation;

/// <summary>Reads the notation of the kernel (<c>kernel/bpf/disasm.c</c>) and of LLVM, which differ in details only.</summary>
internal static partial class KernelNotation
{
    // The longer come before those they begin with.
    private static readonly (string Text, byte Operation, short Offset)[] s_assignments =
    [
        ("s>>=", Arsh, 0), ("s/=", Div, 1), ("s%=", Mod, 1), ("<<=", Lsh, 0), (">>=", Rsh, 0), ("+=", Add, 0), ("-=", Sub, 0),
        ("*=", Mul, 0), ("/=", Div, 0), ("%=", Mod, 0), ("|=", Or, 0), ("&=", And, 0), ("^=", Xor, 0), ("=", Mov, 0),
    ];

    private static readonly (string Text, byte Condition)[] s_conditions =
    [
        ("s>=", Jsge), ("s<=", Jsle), ("s>", Jsgt), ("s<", Jslt), ("==", Jeq), ("!=", Jne), (">=", Jge), ("<=", Jle), (">", Jgt), ("<", Jlt), ("&", Jset),
    ];

    /// <summary>Reads an instruction; false, with nothing passed over, when the line does not begin like one of this notation.</summary>
    public static bool TryRead(LineScanner s, CodeSink sink)
    {
        var begin = s.Column;
        if (s.TryRegister(out var dst, out var half))
        {
            Assignment(s, sink, dst, half);
            return true;
        }

        if (s.Take("*"))
        {
            Store(s, sink);
            return true;
        }

        switch (s.Word())
        {
            case "if":
                Condition(s, sink);
                return true;
            case "goto":
                Target(s, sink, ClassJmp | Ja, 0, 0, 0);
                return true;
            case "gotol":
                Target(s, sink, ClassJmp32 | Ja, 0, 0, 0);
                return true;
            case "gotox":
                sink.Emit(ClassJmp | Ja | SourceRegister, s.ExpectRegister(half: false), 0, 0, 0);
                return true;
            case "may_goto":
                Target(s, sink, ClassJmp | Jcond, 0, 0, 0);
                return true;
            case "call":
                Call(s, sink);
                return true;
            case "callx":
                sink.Emit(CallInstruction | SourceRegister, s.ExpectRegister(half: false), 0, 0, 0);
                return true;
            case "exit":
                sink.Emit(ExitInstruction, 0, 0, 0, 0);
                return true;
            case "lock" when s.Take("*"):
                LockedStore(s, sink);
                return true;
            case "store_release":
                s.Expect("(");
                var (size, address, offset) = TypedMemory(s);
                s.Expect(",");
                sink.Emit(ClassStx | ModeAtomic | size, address, ValueRegister(s, size), offset, AtomicStoreRelease);
                s.Expect(")");
                return true;
            default:
                s.Return(begin);
                return false;
        }
    }

    private static void Assignment(LineScanner s, CodeSink sink, byte dst, bool half)
    {
        var found = Array.Find(s_assignments, a => s.Take(a.Text));
        if (found.Text is null)
        {
            s.Fail("an assignment: = += -= *= /= %= |= &= ^= <<= >>= s>>= s/= s%=");
        }

        if (found.Text == "=")
        {
            Value(s, sink, dst, half);
            return;
        }

        var code = (half ? ClassAlu : ClassAlu64) | found.Operation;
        if (s.TryNumber(out var number))
        {
            sink.Emit(code, dst, 0, found.Offset, number.Immediate(bitsAllowed: half));
        }
        else
        {
            sink.Emit(code | SourceRegister, dst, s.ExpectRegister(half, "a number or a register"), found.Offset, 0);
        }
    }

    private static void Condition(LineScanner s, CodeSink sink)
    {
        if (!s.TryRegister(out var dst, out var half))
        {
            s.Fail("the register to compare");
        }

        var found = Array.Find(s_conditions, c => s.Take(c.Text));
        if (found.Text is null)
        {
            s.Fail("a comparison: == != > >= < <= s> s>= s< s<= &");
        }

        var code = (half ? ClassJmp32 : ClassJmp) | found.Condition;

        // The kernel writes these numbers as 32 bits in hexadecimal, whatever their sign.
        byte src = 0;
        var immediate = 0;
        if (s.TryNumber(out var number))
        {
            immediate = number.Immediate(bitsAllowed: true);
        }
        else
        {
            (code, src) = (code | SourceRegister, s.ExpectRegister(half, "a number or a register"));
        }

        s.Expect("goto");
        Target(s, sink, code, dst, src, immediate);
    }

    /// <summary>Where a jump goes: <c>pc+3</c>, <c>+3</c> or a label; llvm-objdump adds the label in angle brackets.</summary>
    private static void Target(LineScanner s, CodeSink sink, int code, byte dst, byte src, int immediate)
    {
        var column = s.Column;
        var isLong = code == (ClassJmp32 | Ja);
        if (Distance(s) is { } distance)
        {
            sink.Emit(code, dst, src, isLong ? (short)0 : distance.Offset(), isLong ? distance.Immediate(bitsAllowed: false) : immediate);
            if (s.Take("<") && s.Until('>') is null)
            {
                s.Fail("'>'");
            }
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

    /// <summary><c>pc+3</c> or <c>+3</c>: slots from the next instruction on.</summary>
    internal static AsmNumber? Distance(LineScanner s)
    {
        var begin = s.Column;
        if (s.Word() == "pc" && s.Next is '+' or '-')
        {
            return s.ExpectNumber("a distance");
        }

        s.Return(begin);
        return s.Next is '+' or '-' ? s.ExpectNumber("a distance") : null;
    }

    private static void Call(LineScanner s, CodeSink sink)
    {
        var column = s.Column;
        if (Distance(s) is { } distance)
        {
            sink.Emit(CallInstruction, 0, PseudoCall, 0, distance.Immediate(bitsAllowed: false));
        }
        else if (s.TryNumber(out var helper))
        {
            sink.Emit(CallInstruction, 0, 0, 0, helper.Immediate(bitsAllowed: false));
        }
        else if (s.TryRegister(out var register, out _))
        {
            sink.Emit(CallInstruction | SourceRegister, register, 0, 0, 0);
        }
        else if (s.Take("kernel-function#"))
        {
            var function = s.ExpectNumber("the number of a kernel function").Immediate(bitsAllowed: false);

            // Functions of modules: which of the descriptors given at load has their BTF.
            sink.Emit(CallInstruction, 0, PseudoKfunc, s.Take("@") ? s.ExpectNumber("the index of a module").Offset() : (short)0, function);
        }
        else if (s.Word() is { } name)
        {
            CallName(s, sink, name, column);
        }
        else
        {
            s.Fail("the number or name of a helper, a function of the program, or a register");
        }

        if (s.Take("<") && s.Until('>') is null)
        {
            s.Fail("'>'");
        }
    }

    private static void CallName(LineScanner s, CodeSink sink, string name, int column)
    {
        switch (name)
        {
            case "local" when Distance(s) is { } distance:
                sink.Emit(CallInstruction, 0, PseudoCall, 0, distance.Immediate(bitsAllowed: false));
                return;
            case "local":
                column = s.Column;
                sink.EmitTo(s.Word() ?? "", column, CallInstruction, 0, PseudoCall, 0);
                return;
            case "helper":
                Call(s, sink);
                return;
            case "runtime":
                sink.Emit(CallInstruction, 0, PseudoKfunc, 0, s.ExpectNumber("the number of a kernel function").Immediate(bitsAllowed: false));
                return;
        }

        // The listing gives the number behind the name, and the number counts: names are younger kernels' business.
        if (s.Take("#"))
        {
            sink.Emit(CallInstruction, 0, 0, 0, s.ExpectNumber("the number of the helper").Immediate(bitsAllowed: false));
        }
        else if (HelperNames.Find(name) is { } number)
        {
            sink.Emit(CallInstruction, 0, 0, 0, number);
        }
        else if (name.StartsWith("bpf_", StringComparison.Ordinal) && !sink.Labels.ContainsKey(name))
        {
            throw new AsmLineException(column, string.Create(CultureInfo.InvariantCulture, $"expected a helper, but there is none with the name '{name}'"));
        }
        else
        {
            sink.EmitTo(name, column, CallInstruction, 0, PseudoCall, 0);
        }
    }
}
