using System.Globalization;
using System.Text;
using Skep.Bpf.Programs;
using static Skep.Bpf.Asm.OpCodes;

namespace Skep.Bpf.Asm;

/// <summary>Writes instructions in the notation of the kernel (<c>kernel/bpf/disasm.c</c>), with names of helpers and maps.</summary>
public static class Disassembler
{
    private static readonly string[] s_aluOperators = ["+=", "-=", "*=", "/=", "|=", "&=", "<<=", ">>=", "neg", "%=", "^=", "=", "s>>=", "endian"];
    private static readonly string[] s_jumpOperators = ["goto", "==", ">", ">=", "&", "!=", "s>", "s>=", "call", "exit", "<", "<=", "s<", "s<="];

    /// <summary>A whole program: functions, source lines as comments, and a line <c>slot: (opcode) text</c> per instruction.</summary>
    public static string Disassemble(ProgramSpec spec)
    {
        ArgumentNullException.ThrowIfNull(spec);
        var maps = spec.MapReferences.ToDictionary(reference => reference.Slot);
        var lines = spec.Lines.ToLookup(line => line.Slot);
        var functions = spec.Functions.ToLookup(function => function.Slot);
        var text = new StringBuilder();
        for (var slot = 0; slot < spec.Instructions.Count; slot++)
        {
            foreach (var function in functions[slot])
            {
                text.Append(CultureInfo.InvariantCulture, $"{function.Name}:\n");
            }

            foreach (var line in lines[slot])
            {
                text.Append(CultureInfo.InvariantCulture, $"; {line.Text.Trim()} @ {Path.GetFileName(line.File)}:{line.Line}\n");
            }

            var instruction = spec.Instructions[slot];
            var described = maps.TryGetValue(slot, out var map)
                ? FormatMap(instruction, map)
                : Format(instruction, slot + 1 < spec.Instructions.Count ? spec.Instructions[slot + 1] : default);
            text.Append(CultureInfo.InvariantCulture, $"{slot,4}: ({instruction.Code:x2}) {described}\n");
            slot += instruction.IsWideLoad ? 1 : 0;
        }

        return text.ToString();
    }

    /// <summary>One instruction, without slot and opcode.</summary>
    /// <param name="instruction">The instruction.</param>
    /// <param name="next">The slot after it, where a 64-bit constant keeps its upper half.</param>
    public static string Format(Instruction instruction, Instruction next = default) => instruction.Class switch
    {
        ClassAlu or ClassAlu64 => FormatAlu(instruction),
        ClassJmp or ClassJmp32 => FormatJump(instruction),
        ClassLdx => FormatLoad(instruction),
        ClassSt => Invariant($"*({SizeName(instruction)} *)(r{instruction.Dst} {instruction.Offset:+0;-0;+0}) = {instruction.Immediate}"),
        ClassStx => FormatStore(instruction),
        _ when instruction.IsWideLoad => FormatWide(instruction, next),
        _ => FormatLegacyLoad(instruction),
    };

    private static string FormatMap(Instruction instruction, MapReference map) => map.ValueOffset is { } offset
        ? Invariant($"r{instruction.Dst} = map[{map.Map.Name}][0]+{offset}")
        : Invariant($"r{instruction.Dst} = map[{map.Map.Name}]");

    private static string FormatWide(Instruction instruction, Instruction next)
    {
        var value = (uint)instruction.Immediate | ((ulong)(uint)next.Immediate << 32);
        return instruction.Src switch
        {
            PseudoMapFd => Invariant($"r{instruction.Dst} = map[fd:{instruction.Immediate}]"),
            PseudoMapValue => Invariant($"r{instruction.Dst} = map[fd:{instruction.Immediate}][0]+{(uint)next.Immediate}"),
            PseudoMapIndex => Invariant($"r{instruction.Dst} = map[idx:{instruction.Immediate}]"),
            PseudoMapIndexValue => Invariant($"r{instruction.Dst} = map[idx:{instruction.Immediate}][0]+{(uint)next.Immediate}"),
            PseudoBtfId => Invariant($"r{instruction.Dst} = btf_id[{instruction.Immediate}]"),
            PseudoFunction => Invariant($"r{instruction.Dst} = subprog[{instruction.Immediate:+0;-0;+0}]"),
            _ => Invariant($"r{instruction.Dst} = 0x{value:x}"),
        };
    }

    private static string FormatAlu(Instruction i)
    {
        var register = i.Class == ClassAlu64 ? 'r' : 'w';
        var operation = i.Code & 0xf0;
        if (operation == Neg)
        {
            return Invariant($"{register}{i.Dst} = -{register}{i.Dst}");
        }

        if (operation == End)
        {
            var swap = i.Class == ClassAlu64 ? "bswap" : (i.Code & SourceRegister) != 0 ? "be" : "le";
            return Invariant($"r{i.Dst} = {swap}{i.Immediate} r{i.Dst}");
        }

        if (operation >> 4 >= s_aluOperators.Length)
        {
            return Unknown(i);
        }

        if (operation == Mov && i.Class == ClassAlu64 && (i.Code & SourceRegister) != 0 && i.Offset == AddressSpaceCast)
        {
            return Invariant($"r{i.Dst} = addr_space_cast(r{i.Src}, {(uint)i.Immediate >> 16}, {(ushort)i.Immediate})");
        }

        // The offset of an arithmetic instruction tells signed division and sign extension (RFC 9669 section 4.1).
        var signed = i.Offset == 1 && operation is Div or Mod ? "s" : "";
        var extension = operation == Mov && i.Offset is 8 or 16 or 32 ? Invariant($"(s{i.Offset})") : "";
        var source = (i.Code & SourceRegister) != 0 ? Invariant($"{extension}{register}{i.Src}") : Invariant($"{i.Immediate}");
        return Invariant($"{register}{i.Dst} {signed}{s_aluOperators[operation >> 4]} {source}");
    }

    private static string FormatJump(Instruction i)
    {
        var operation = i.Code & 0xf0;
        switch (operation)
        {
            case Call when i.Code == (CallInstruction | SourceRegister):
                return Invariant($"callx r{i.Dst}");
            case Call when i.Code == CallInstruction:
                return i.Src switch
                {
                    PseudoCall => Invariant($"call pc{i.Immediate:+0;-0;+0}"),
                    PseudoKfunc => Invariant($"call kernel-function#{i.Immediate}{(i.Offset == 0 ? "" : Invariant($"@{i.Offset}"))}"),
                    _ => Invariant($"call {HelperNames.Of(i.Immediate)}#{i.Immediate}"),
                };
            case Exit when i.Code == ExitInstruction:
                return "exit";
            case Call or Exit:
                return Unknown(i);
            case Jcond:
                return i.Code == (ClassJmp | Jcond) && i.Src == 0 ? Invariant($"may_goto pc{i.Offset:+0;-0;+0}") : Unknown(i);
            case Ja when (i.Code & SourceRegister) != 0:
                return i.Class == ClassJmp ? Invariant($"gotox r{i.Dst}") : Unknown(i);
            case Ja:
                return i.Class == ClassJmp ? Invariant($"goto pc{i.Offset:+0;-0;+0}") : Invariant($"gotol pc{i.Immediate:+0;-0;+0}");
        }

        if (operation >> 4 >= s_jumpOperators.Length)
        {
            return Unknown(i);
        }

        var register = i.Class == ClassJmp ? 'r' : 'w';
        var operand = (i.Code & SourceRegister) != 0 ? Invariant($"{register}{i.Src}") : Invariant($"0x{(uint)i.Immediate:x}");
        return Invariant($"if {register}{i.Dst} {s_jumpOperators[operation >> 4]} {operand} goto pc{i.Offset:+0;-0;+0}");
    }

    private static string FormatLoad(Instruction i) => (i.Code & 0xe0) switch
    {
        ModeMem => Invariant($"r{i.Dst} = *({SizeName(i)} *)(r{i.Src} {i.Offset:+0;-0;+0})"),
        ModeMemSx => Invariant($"r{i.Dst} = *(s{SizeName(i)[1..]} *)(r{i.Src} {i.Offset:+0;-0;+0})"),
        _ => Unknown(i),
    };

    private static string FormatStore(Instruction i)
    {
        var memory = Invariant($"({SizeName(i)} *)(r{i.Dst} {i.Offset:+0;-0;+0})");
        switch (i.Code & 0xe0)
        {
            case ModeMem:
                return Invariant($"*{memory} = r{i.Src}");
            case ModeAtomic:
                var atomic = (i.Code & 0x18) == SizeDw ? "atomic64" : "atomic";
                return i.Immediate switch
                {
                    AtomicAdd => Invariant($"lock *{memory} += r{i.Src}"),
                    AtomicOr => Invariant($"lock *{memory} |= r{i.Src}"),
                    AtomicAnd => Invariant($"lock *{memory} &= r{i.Src}"),
                    AtomicXor => Invariant($"lock *{memory} ^= r{i.Src}"),
                    AtomicAdd | AtomicFetch => Fetch("add"),
                    AtomicOr | AtomicFetch => Fetch("or"),
                    AtomicAnd | AtomicFetch => Fetch("and"),
                    AtomicXor | AtomicFetch => Fetch("xor"),
                    AtomicXchg => Invariant($"r{i.Src} = {atomic}_xchg({memory}, r{i.Src})"),
                    AtomicLoadAcquire => Invariant($"r{i.Dst} = load_acquire(({SizeName(i)} *)(r{i.Src} {i.Offset:+0;-0;+0}))"),
                    AtomicStoreRelease => Invariant($"store_release({memory}, r{i.Src})"),
                    AtomicCmpXchg => Invariant($"r0 = {atomic}_cmpxchg({memory}, r0, r{i.Src})"),
                    _ => Unknown(i),
                };

                string Fetch(string operation) => Invariant($"r{i.Src} = {atomic}_fetch_{operation}({memory}, r{i.Src})");
            default:
                return Unknown(i);
        }
    }

    // Packet loads of classic BPF: mode 0x20 is absolute, 0x40 by register.
    private static string FormatLegacyLoad(Instruction i) => (i.Code & 0xe0) switch
    {
        0x20 => Invariant($"r0 = *({SizeName(i)} *)skb[{i.Immediate}]"),
        0x40 => Invariant($"r0 = *({SizeName(i)} *)skb[r{i.Src} + {i.Immediate}]"),
        _ => Unknown(i),
    };

    private static string SizeName(Instruction i) => (i.Code & 0x18) switch
    {
        SizeW => "u32",
        SizeH => "u16",
        SizeB => "u8",
        _ => "u64",
    };

    private static string Unknown(Instruction i) => Invariant($"BUG_{i.Code:x2}");

    private static string Invariant(FormattableString text) => FormattableString.Invariant(text);
}
