using System.Buffers.Binary;
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

/// <summary>The sections of code: instructions with the kernel's offsets in them, functions, relocations, types and source lines.</summary>
internal sealed class ObjectCode
{
    private const string Shared = ".text";

    private readonly ElfFile _elf;
    private readonly Dictionary<int, Instruction[]> _instructions = [];
    private readonly Dictionary<(int Section, int Start), ObjectFunction> _functions = [];
    private readonly Dictionary<int, Dictionary<int, ElfRelocation>> _relocations = [];
    private readonly Dictionary<(int Section, int Slot), FieldRelocator.Flaw> _flaws = [];
    private readonly BtfExt? _ext;

    internal ObjectCode(ElfFile elf, BtfFile? types, BtfExt? ext, KernelTypes? kernel)
    {
        (_elf, _ext) = (elf, ext);
        var relocator = types is not null && ext?.FieldRelocations.Count > 0 ? new FieldRelocator(types, kernel) : null;
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

            foreach (var record in ext?.FieldRelocations.GetValueOrDefault(section.Name) ?? [])
            {
                if (relocator!.Apply(instructions, record, section) is { } flaw)
                {
                    _flaws[(section.Index, record.Slot)] = flaw;
                }
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

    /// <summary>
    /// The functions that are programs, in the order of the file: those in a section of their own name. One that only this object sees
    /// is a program too, as with old loaders, unless another function calls it.
    /// </summary>
    internal IEnumerable<ObjectFunction> Programs
    {
        get
        {
            var candidates = _functions.Values.Where(f => f.Section.Name != Shared).ToArray();
            var called = candidates.Any(f => f.IsLocal) ? Called() : [];
            return candidates.Where(f => !f.IsLocal || !called.Contains(f));
        }
    }

    /// <summary>The function that begins at a slot of a section, or null.</summary>
    internal ObjectFunction? FunctionAt(int section, long slot) =>
        slot is >= 0 and <= int.MaxValue ? _functions.GetValueOrDefault((section, (int)slot)) : null;

    internal ReadOnlySpan<Instruction> InstructionsOf(ObjectFunction function) =>
        _instructions[function.Section.Index].AsSpan(function.Start, function.Length);

    internal ElfRelocation? RelocationAt(ElfSection section, int slot) =>
        _relocations[section.Index].TryGetValue(slot, out var relocation) ? relocation : null;

    /// <summary>What is wrong with an instruction against this kernel, or null.</summary>
    internal FieldRelocator.Flaw? FlawAt(ElfSection section, int slot) => _flaws.TryGetValue((section.Index, slot), out var flaw) ? flaw : null;

    internal SourceLine Decode(ObjectLine line) => _ext!.Decode(line);

    /// <summary>Source lines of a function, by slots of its section.</summary>
    internal ReadOnlySpan<ObjectLine> LinesOf(ObjectFunction function)
    {
        if (_ext?.Lines.GetValueOrDefault(function.Section.Name) is not { } list)
        {
            return [];
        }

        var lines = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(list);
        var start = FirstFrom(lines, function.Start);
        return lines[start..FirstFrom(lines, function.Start + function.Length)];
    }

    /// <summary>Types and lines of a program made of these functions, as the kernel takes them: all functions have a type, or none is given.</summary>
    internal ObjectProgramTypes? TypesOf(ObjectBtf btf, (FunctionEntry Entry, ObjectFunction Function)[] entries, Instruction[] code)
    {
        if (_ext is null)
        {
            return null;
        }

        var functions = new byte[entries.Length * ProgramBtf.FunctionRecordSize];
        var (lines, count, hasLines) = (new List<byte>(), 0, true);
        foreach (var (entry, function) in entries)
        {
            var type = _ext.TypeOf(function.Section.Name, function.Start);
            if (type == 0)
            {
                return null;
            }

            var record = functions.AsSpan(count++ * ProgramBtf.FunctionRecordSize);
            BinaryPrimitives.WriteInt32LittleEndian(record, entry.Slot);
            BinaryPrimitives.WriteUInt32LittleEndian(record[4..], type);
            hasLines &= AddLines(lines, LinesOf(function), function, entry.Slot, code);
        }

        return new ObjectProgramTypes(btf, functions, hasLines ? [.. lines] : []);
    }

    /// <summary>Slots must grow, none may name the second half of a wide load, and every function must begin with a line.</summary>
    private static bool AddLines(List<byte> records, ReadOnlySpan<ObjectLine> lines, ObjectFunction function, int start, Instruction[] code)
    {
        Span<byte> record = stackalloc byte[ProgramBtf.LineRecordSize];
        var last = -1;
        foreach (var line in lines)
        {
            var slot = start + line.Slot - function.Start;
            if (slot <= last || (slot > start && code[slot - 1].IsWideLoad))
            {
                continue;
            }

            if (last < 0 && slot != start)
            {
                return false;
            }

            last = slot;
            BinaryPrimitives.WriteInt32LittleEndian(record, slot);
            BinaryPrimitives.WriteUInt32LittleEndian(record[4..], line.File);
            BinaryPrimitives.WriteUInt32LittleEndian(record[8..], line.Text);
            BinaryPrimitives.WriteUInt32LittleEndian(record[12..], line.Position);
            records.AddRange(record);
        }

        return last >= 0;
    }

    private static int FirstFrom(ReadOnlySpan<ObjectLine> lines, int slot)
    {
        var (low, high) = (0, lines.Length);
        while (low < high)
        {
            var middle = (low + high) / 2;
            (low, high) = lines[middle].Slot < slot ? (middle + 1, high) : (low, middle);
        }

        return low;
    }

    private HashSet<ObjectFunction> Called()
    {
        var result = new HashSet<ObjectFunction>();
        foreach (var (section, instructions) in _instructions)
        {
            for (var i = 0; i < instructions.Length; i++)
            {
                if (instructions[i] is not ({ Code: OpCodes.CallInstruction, Src: OpCodes.PseudoCall } or { IsWideLoad: true }))
                {
                    continue;
                }

                var isCall = instructions[i].Code == OpCodes.CallInstruction;
                var target = _relocations[section].TryGetValue(i, out var relocation) && _elf.Symbols[(int)relocation.Symbol] is var symbol
                    ? FunctionAt(symbol.Section, isCall
                        ? unchecked((long)(symbol.Value / Instruction.Size) + instructions[i].Immediate + 1)
                        : unchecked((long)symbol.Value + instructions[i].Immediate) / Instruction.Size)
                    : isCall ? FunctionAt(section, (long)i + instructions[i].Immediate + 1) : null;
                if (target is not null)
                {
                    result.Add(target);
                }
            }
        }

        return result;
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
