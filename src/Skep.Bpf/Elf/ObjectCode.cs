using Skep.Bpf.Asm;
using Skep.Bpf.Btf;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Elf;

/// <summary>A function in a section of code.</summary>
/// <param name="Section">The section.</param>
/// <param name="Name">Name.</param>
/// <param name="Start">First slot in the section.</param>
/// <param name="Length">Number of slots.</param>
/// <param name="IsLocal">Whether only this object sees it.</param>
internal sealed record ObjectFunction(ElfSection Section, string Name, int Start, int Length, bool IsLocal);

/// <summary>The sections of code: instructions with the kernel's offsets in them, functions, relocations, source lines.</summary>
internal sealed class ObjectCode
{
    private readonly Dictionary<int, Instruction[]> _instructions = [];
    private readonly Dictionary<(int Section, int Start), ObjectFunction> _functions = [];
    private readonly Dictionary<int, Dictionary<int, ElfRelocation>> _relocations = [];
    private readonly BtfExt? _ext;

    internal ObjectCode(ElfFile elf, BtfFile? types, BtfFile? kernelTypes)
    {
        _ext = types is not null && elf.Find(".BTF.ext") is { } ext ? BtfExt.Read(elf.Contents(ext).Span, types, ext.Offset) : null;
        var relocator = types is not null && _ext?.FieldRelocations.Count > 0 ? new FieldRelocator(types, kernelTypes ?? BtfFile.Kernel) : null;
        foreach (var section in elf.Sections.Where(s => s.IsCode))
        {
            if (section.Size % Instruction.Size != 0)
            {
                throw new ElfFormatException($"Section '{section.Name}' is no whole number of instructions", section.Offset);
            }

            var contents = elf.Contents(section).Span;
            var instructions = new Instruction[section.Size / Instruction.Size];
            for (var i = 0; i < instructions.Length; i++)
            {
                instructions[i] = Instruction.Read(contents[(i * Instruction.Size)..]);
            }

            foreach (var record in _ext?.FieldRelocations.GetValueOrDefault(section.Name) ?? [])
            {
                relocator!.Apply(instructions, record, section);
            }

            _instructions.Add(section.Index, instructions);
            var relocations = new Dictionary<int, ElfRelocation>();
            foreach (var relocation in elf.Relocations(section))
            {
                if (relocation.Offset % Instruction.Size != 0 || !relocations.TryAdd((int)relocation.Offset / Instruction.Size, relocation))
                {
                    throw new ElfFormatException($"A relocation of '{section.Name}' does not fit its instructions", section.Offset + (long)relocation.Offset);
                }
            }

            _relocations.Add(section.Index, relocations);
            AddFunctions(elf, section);
        }
    }

    /// <summary>The functions, in the order of the file.</summary>
    internal IReadOnlyList<ObjectFunction> Functions => [.. _functions.Values];

    /// <summary>The function that begins at a slot of a section, or null.</summary>
    internal ObjectFunction? FunctionAt(int section, long slot) =>
        slot is >= 0 and <= int.MaxValue ? _functions.GetValueOrDefault((section, (int)slot)) : null;

    internal ReadOnlySpan<Instruction> InstructionsOf(ObjectFunction function) =>
        _instructions[function.Section.Index].AsSpan(function.Start, function.Length);

    internal ElfRelocation? RelocationAt(ElfSection section, int slot) =>
        _relocations[section.Index].TryGetValue(slot, out var relocation) ? relocation : null;

    /// <summary>Source lines of a function, by slots counted from its start.</summary>
    internal IEnumerable<SourceLine> LinesOf(ObjectFunction function)
    {
        var lines = _ext?.Lines.GetValueOrDefault(function.Section.Name) ?? [];
        var (low, high) = (0, lines.Count);
        while (low < high)
        {
            var middle = (low + high) / 2;
            (low, high) = lines[middle].Slot < function.Start ? (middle + 1, high) : (low, middle);
        }

        for (var i = low; i < lines.Count && lines[i].Slot < function.Start + function.Length; i++)
        {
            yield return lines[i] with { Slot = lines[i].Slot - function.Start };
        }
    }

    private void AddFunctions(ElfFile elf, ElfSection section)
    {
        var end = 0UL;
        foreach (var symbol in elf.SymbolsIn(section).Where(s => s.Type == ElfSymbolType.Function && s.Size > 0).OrderBy(s => s.Value))
        {
            if (symbol.Value % Instruction.Size != 0 || symbol.Size % Instruction.Size != 0
                || symbol.Value > (ulong)section.Size || symbol.Size > (ulong)section.Size - symbol.Value)
            {
                throw new ElfFormatException($"Function '{elf.NameOf(symbol)}' lies outside '{section.Name}'", section.Offset);
            }

            if (symbol.Value < end)
            {
                throw new ElfFormatException($"Function '{elf.NameOf(symbol)}' lies within another one", section.Offset + (long)symbol.Value);
            }

            end = symbol.Value + symbol.Size;
            var function = new ObjectFunction(
                section, elf.NameOf(symbol), (int)symbol.Value / Instruction.Size, (int)symbol.Size / Instruction.Size, symbol.Binding == ElfBinding.Local);
            _functions.Add((section.Index, function.Start), function);
        }
    }
}
