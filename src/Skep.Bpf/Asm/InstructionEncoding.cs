using static Skep.Bpf.Asm.OpCodes;

namespace Skep.Bpf.Asm;

/// <summary>
/// Which encodings exist (RFC 9669 and the kernel's later instructions): fields that an instruction does not use must be zero,
/// jumps stay in the program and never lead into the second half of a 64-bit load.
/// </summary>
public static class InstructionEncoding
{
    /// <summary>All that is wrong with a program's encoding, by slot; empty when nothing is.</summary>
    public static IReadOnlyList<(int Slot, string Reason)> Problems(IReadOnlyList<Instruction> code)
    {
        ArgumentNullException.ThrowIfNull(code);
        List<(int, string)> problems = [];
        var second = new bool[code.Count];
        for (var slot = 0; slot < code.Count; slot++)
        {
            if (second[slot])
            {
                continue;
            }

            if (Problem(code[slot]) is { } reason)
            {
                problems.Add((slot, reason));
            }
            else if (code[slot].IsWideLoad)
            {
                if (slot + 1 == code.Count || code[slot + 1] is not { Code: 0, Dst: 0, Src: 0, Offset: 0 })
                {
                    problems.Add((slot, "a 64-bit load needs a second slot in which all but the immediate is zero"));
                }
                else
                {
                    second[slot + 1] = true;
                }
            }
        }

        for (var slot = 0; slot < code.Count; slot++)
        {
            if (!second[slot] && Target(code[slot], slot) is { } target)
            {
                if ((uint)target >= (uint)code.Count)
                {
                    problems.Add((slot, "it goes to a slot outside the program"));
                }
                else if (second[target])
                {
                    problems.Add((slot, "it goes into the middle of a 64-bit load"));
                }
            }
        }

        if (code.Count == 0)
        {
            problems.Add((0, "a program has one instruction at least"));
        }
        else if (problems.Count == 0 && !Ends(code[^1]))
        {
            problems.Add((code.Count - 1, "execution goes on outside the program"));
        }

        return problems;
    }

    /// <summary>What is wrong with the encoding of an instruction; null when nothing is. For a 64-bit load the first slot is judged.</summary>
    public static string? Problem(Instruction i)
    {
        if (i.Dst > Register.R10 || (i.Src > Register.R10))
        {
            return "there are only the registers R0 to R10";
        }

        return i.Class switch
        {
            ClassAlu or ClassAlu64 => Alu(i),
            ClassJmp or ClassJmp32 => Jump(i),
            ClassLdx => (i.Code & 0xe0) is ModeMem || ((i.Code & 0xe0) is ModeMemSx && (i.Code & 0x18) != SizeDw) ? Unused(i, immediate: true) : Unknown,
            ClassSt => (i.Code & 0xe0) is ModeMem ? Unused(i, src: true) : Unknown,
            ClassStx => Store(i),
            _ => Load(i),
        };
    }

    /// <summary>Slot that a jump or a call within the program goes to; null for all other instructions.</summary>
    internal static int? Target(Instruction i, int slot) => i switch
    {
        { Code: (ClassJmp32 | Ja) } => slot + 1 + i.Immediate,
        { Code: CallInstruction, Src: PseudoCall } => slot + 1 + i.Immediate,
        { Code: LoadImmediate64, Src: PseudoFunction } => slot + 1 + i.Immediate,
        { Class: ClassJmp or ClassJmp32 } when (i.Code & 0xf0) is not (Call or Exit) && i.Code != (ClassJmp | Ja | SourceRegister) => slot + 1 + i.Offset,
        _ => null,
    };

    /// <summary>Whether any instruction has this code, whatever its other fields.</summary>
    internal static bool IsKnown(byte code) => Array.Exists(s_immediates, immediate => Problem(new Instruction(code, 0, 0, 0, immediate)) is null);

    // Each is taken by some instruction that takes few: ends and swaps, atomics.
    private static readonly int[] s_immediates = [0, 16, AtomicLoadAcquire];

    private const string Unknown = "there is no such instruction";

    /// <summary>Whether execution cannot go on behind an instruction.</summary>
    internal static bool Ends(Instruction i) =>
        i.Code is ExitInstruction or (ClassJmp | Ja) or (ClassJmp32 | Ja) or (ClassJmp | Ja | SourceRegister);

    private static string? Alu(Instruction i)
    {
        var (wide, register) = (i.Class == ClassAlu64, (i.Code & SourceRegister) != 0);
        switch (i.Code & 0xf0)
        {
            case > End:
                return Unknown;
            case Neg:
                return register ? Unknown : Unused(i, src: true, offset: true, immediate: true);
            case End:
                return (wide && register) || i.Immediate is not (16 or 32 or 64) ? Unknown : Unused(i, src: true, offset: true);
            case Div or Mod when i.Offset is 0 or 1:
                return Unused(i, src: !register, immediate: register);
            case Mov when register && wide && i.Offset == AddressSpaceCast:
                return i.Immediate is 1 or (1 << 16) ? null : "addresses are cast from space 0 to 1 or from 1 to 0";
            case Mov when register && (i.Offset is 8 or 16 || (wide && i.Offset == 32)):
                return Unused(i, immediate: true);
            default:
                return Unused(i, src: !register, offset: true, immediate: register);
        }
    }

    private static string? Jump(Instruction i)
    {
        var (wide, register) = (i.Class == ClassJmp, (i.Code & SourceRegister) != 0);
        return (i.Code & 0xf0, wide, register) switch
        {
            (Ja, true, false) => Unused(i, dst: true, src: true, immediate: true),
            (Ja, true, true) => Unused(i, src: true, offset: true, immediate: true),
            (Ja, false, false) => Unused(i, dst: true, src: true, offset: true),
            (Call, true, false) when i.Src <= PseudoKfunc => Unused(i, dst: true, offset: i.Src != PseudoKfunc),
            (Call, true, true) => Unused(i, src: true, offset: true, immediate: true),
            (Exit, true, false) => Unused(i, dst: true, src: true, offset: true, immediate: true),
            (Jcond, true, false) => Unused(i, dst: true, src: true, immediate: true),
            (Ja or Call or Exit or >= Jcond, _, _) => Unknown,
            _ => Unused(i, src: !register, immediate: register),
        };
    }

    private static string? Store(Instruction i) => (i.Code & 0xe0) switch
    {
        ModeMem => Unused(i, immediate: true),
        ModeAtomic => i.Immediate switch
        {
            AtomicLoadAcquire or AtomicStoreRelease => null,
            _ when (i.Code & 0x18) is not (SizeW or SizeDw) => Unknown,
            AtomicXchg or AtomicCmpXchg => null,
            _ => (i.Immediate & ~AtomicFetch) is AtomicAdd or AtomicOr or AtomicAnd or AtomicXor ? null : Unknown,
        },
        _ => Unknown,
    };

    private static string? Load(Instruction i) => (i.Code & 0xe0) switch
    {
        ModeImm when i.IsWideLoad && i.Src <= PseudoMapIndexValue => Unused(i, offset: true),
        ModeAbs when (i.Code & 0x18) != SizeDw => Unused(i, dst: true, src: true, offset: true),
        ModeInd when (i.Code & 0x18) != SizeDw => Unused(i, dst: true, offset: true),
        _ => Unknown,
    };

    private static string? Unused(Instruction i, bool dst = false, bool src = false, bool offset = false, bool immediate = false) =>
        dst && i.Dst != 0 ? Reserved("destination register")
        : src && i.Src != 0 ? Reserved("source register")
        : offset && i.Offset != 0 ? Reserved("offset")
        : immediate && i.Immediate != 0 ? Reserved("immediate")
        : null;

    private static string Reserved(string field) => $"it does not use its {field}, which must be zero";
}
