using Skep.Bpf.Asm;
using Skep.Bpf.Asm.Notation;
using Skep.Bpf.Elf.Linking;

namespace Skep.Bpf.Elf;

/// <summary>
/// Makes an object file of assembler text, which this library, libbpf and bpftool load: the main function in a section that says what kind of program it
/// is, the functions it calls in <c>.text</c>, and the licence. It has no types.
/// </summary>
public static class AsmObject
{
    private const ulong Allocated = 2, Executable = 4, Writable = 1;
    private const uint WideLoadRelocation = 1, CallRelocation = 10;

    /// <summary>The bytes of the object file.</summary>
    /// <param name="code">The code. It must not name maps.</param>
    /// <param name="section">Section of the main function, which says what it is (<see cref="SectionName"/>), for example <c>xdp</c>.</param>
    /// <param name="name">Name of the main function.</param>
    /// <param name="license">Licence.</param>
    /// <exception cref="ArgumentException">The code names a map, which has no description here, or refers to a function from a place outside of the functions.</exception>
    public static byte[] Write(AsmCode code, string section, string name, string license = "GPL")
    {
        ArgumentNullException.ThrowIfNull(code);
        ArgumentException.ThrowIfNullOrEmpty(section);
        if (code.Maps.Count > 0)
        {
            throw new ArgumentException($"The program uses map '{code.Maps[0].Map}', which assembler text does not describe.", nameof(code));
        }

        var functions = code.Functions.Where(f => f.Slot > 0).OrderBy(f => f.Slot).ToArray();
        var end = functions.Length > 0 ? functions[0].Slot : code.Instructions.Count;
        var instructions = code.Instructions.ToArray();
        var relocations = new List<(ulong Offset, uint Type, int Symbol)>();
        for (var slot = 0; slot < end; slot++)
        {
            // What leads from the main function to another one leads to another section: by the symbol instead of the distance.
            var instruction = instructions[slot];
            var isCall = instruction is { Code: OpCodes.CallInstruction, Src: OpCodes.PseudoCall };
            if (isCall || (instruction.IsWideLoad && instruction.Src == OpCodes.PseudoFunction))
            {
                var target = Array.FindIndex(functions, f => f.Slot == slot + 1 + instruction.Immediate);
                if (target < 0)
                {
                    throw new ArgumentException($"The instruction at slot {slot} refers to slot {slot + 1 + instruction.Immediate}, which is the begin of no other function.", nameof(code));
                }

                relocations.Add(((ulong)slot * Instruction.Size, isCall ? CallRelocation : WideLoadRelocation, target + 1));
                instructions[slot] = instruction with { Immediate = isCall ? -1 : 0 };
            }

            slot += instruction.IsWideLoad ? 1 : 0;
        }

        var writer = new ElfObjectWriter();
        var text = writer.Add(".text", ElfSectionType.ProgramBits, Allocated | Executable, Bytes(instructions.AsSpan(end)), (instructions.Length - end) * Instruction.Size);
        var main = writer.Add(section, ElfSectionType.ProgramBits, Allocated | Executable, Bytes(instructions.AsSpan(0, end)), end * Instruction.Size);
        var terms = System.Text.Encoding.UTF8.GetBytes(license + "\0");
        var licensed = writer.Add("license", ElfSectionType.ProgramBits, Allocated | Writable, terms, terms.Length);
        List<ElfObjectWriter.Symbol> symbols = [new(name, ElfSymbolType.Function, ElfBinding.Global, main, 0, (ulong)end * Instruction.Size, 0)];
        for (var i = 0; i < functions.Length; i++)
        {
            var next = i + 1 < functions.Length ? functions[i + 1].Slot : instructions.Length;
            symbols.Add(new(
                functions[i].Name, ElfSymbolType.Function, ElfBinding.Local, text,
                (ulong)(functions[i].Slot - end) * Instruction.Size, (ulong)(next - functions[i].Slot) * Instruction.Size, 0));
        }

        symbols.Add(new("LICENSE", ElfSymbolType.Object, ElfBinding.Global, licensed, 0, (ulong)terms.Length, 0));
        return writer.Build(symbols, relocations.Count > 0 ? [(main, relocations)] : []);
    }

    /// <summary>Instructions as they lie in memory, 8 bytes each.</summary>
    public static byte[] Bytes(ReadOnlySpan<Instruction> code)
    {
        var bytes = new byte[code.Length * Instruction.Size];
        for (var i = 0; i < code.Length; i++)
        {
            code[i].Write(bytes.AsSpan(i * Instruction.Size));
        }

        return bytes;
    }
}
