using Skep.Bpf.Asm;
using Skep.Bpf.Btf;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Elf;

/// <summary>
/// Makes programs of functions: what a program calls is appended to it, calls and references to functions, maps and data are resolved.
/// </summary>
internal sealed class ProgramLinker(ElfFile elf, ObjectCode code, ObjectMaps maps, string license, BtfFile? kernelTypes)
{
    // The kernel takes a million instructions in a program; the sum bounds what programs that share functions may cost.
    private const int LongestProgram = 1_000_000, LongestObject = 4_000_000;
    private const byte PseudoFunction = 4, PseudoTypeId = 3;
    private const uint WideLoadRelocation = 1, CallRelocation = 10;

    private readonly ElfFile _elf = elf;
    private readonly ObjectCode _code = code;
    private readonly ObjectMaps _maps = maps;
    private readonly string _license = license;

    private readonly Dictionary<(string, BtfKind), uint?> _kernelTypes = [];
    private int _total;

    internal List<ObjectProgram> Link()
    {
        var mains = _code.Functions.Where(f => f.Section.Name != ".text" && !f.IsLocal).ToArray();
        return [.. mains.Select(Link)];
    }

    private ObjectProgram Link(ObjectFunction main)
    {
        var section = main.Section.Name;
        if (SectionName.Parse(section) is not { } kind)
        {
            return new ObjectProgram(main.Name, section, null, $"the section name '{section}' does not say what kind of program it is");
        }

        try
        {
            return new ObjectProgram(main.Name, section, new Linking(this).Run(main, kind), null);
        }
        catch (UnresolvedException e)
        {
            return new ObjectProgram(main.Name, section, null, e.Message);
        }
    }

    /// <summary>A reference that leads nowhere: it spoils the program, not the object.</summary>
    private sealed class UnresolvedException(string message) : Exception(message);

    private sealed class Linking(ProgramLinker linker)
    {
        private readonly List<Instruction> _code = [];
        private readonly List<MapReference> _references = [];
        private readonly List<SourceLine> _lines = [];
        private readonly List<FunctionEntry> _entries = [];
        private readonly List<(int Slot, ObjectFunction Target)> _calls = [];
        private readonly Dictionary<ObjectFunction, int> _placed = [];
        private readonly Queue<ObjectFunction> _waiting = [];

        internal ProgramSpec Run(ObjectFunction main, SectionName kind)
        {
            Want(main);
            while (_waiting.TryDequeue(out var function))
            {
                Append(function);
            }

            foreach (var (slot, target) in _calls)
            {
                _code[slot] = _code[slot] with { Immediate = _placed[target] - slot - 1 };
            }

            return new ProgramSpec
            {
                Name = main.Name,
                Type = kind.Type,
                ExpectedAttachType = kind.Attach,
                AttachTarget = kind.Target,
                Flags = kind.Flags,
                License = linker._license,
                Instructions = [.. _code],
                MapReferences = [.. _references],
                Lines = [.. _lines],
                Functions = [.. _entries],
            };
        }

        private void Want(ObjectFunction function)
        {
            if (_placed.TryAdd(function, -1))
            {
                _waiting.Enqueue(function);
            }
        }

        private void Append(ObjectFunction function)
        {
            var start = _code.Count;
            _placed[function] = start;
            _entries.Add(new FunctionEntry(start, function.Name));
            _lines.AddRange(linker._code.LinesOf(function).Select(l => l with { Slot = start + l.Slot }));
            var instructions = linker._code.InstructionsOf(function);
            linker._total += instructions.Length;
            if (start + instructions.Length > LongestProgram || linker._total > LongestObject)
            {
                throw new ElfFormatException("The programs are longer than any kernel takes", function.Section.Offset);
            }

            for (var i = 0; i < instructions.Length; i++)
            {
                var instruction = instructions[i];
                var relocation = linker._code.RelocationAt(function.Section, function.Start + i);
                if (instruction.IsWideLoad)
                {
                    if (i + 1 >= instructions.Length)
                    {
                        throw new UnresolvedException($"function '{function.Name}' ends in the middle of an instruction");
                    }

                    AppendWideLoad(function, function.Start + i, instruction, instructions[++i], relocation);
                }
                else if (instruction is { Code: OpCodes.CallInstruction, Src: OpCodes.PseudoCall })
                {
                    AppendCall(function, function.Start + i, instruction, relocation);
                }
                else if (relocation is not null && !FieldRelocator.IsPoison(instruction))
                {
                    throw new UnresolvedException($"function '{function.Name}': a relocation at instruction {i}, which refers to nothing");
                }
                else
                {
                    _code.Add(instruction);
                }
            }
        }

        private void AppendWideLoad(ObjectFunction function, int slot, Instruction first, Instruction second, ElfRelocation? relocation)
        {
            if (relocation is not { } r)
            {
                if (first.Src == PseudoFunction)
                {
                    AddFunctionReference(first, function.Section.Index, (long)slot + first.Immediate + 1);
                    _code.Add(second);
                    return;
                }

                _code.Add(first);
                _code.Add(second);
                return;
            }

            var symbol = linker._elf.Symbols[(int)r.Symbol];
            if (r.Type != WideLoadRelocation)
            {
                throw new UnresolvedException($"function '{function.Name}': relocation kind {r.Type} on a wide load");
            }

            if (symbol.Section == 0)
            {
                _code.Add(linker.KernelVariable(symbol, first));
                _code.Add(second with { Immediate = 0 });
            }
            else if (linker._maps.At(symbol.Section, symbol.Value) is { } map)
            {
                _references.Add(new MapReference(_code.Count, map));
                _code.Add(first);
                _code.Add(second);
            }
            else if (linker._maps.Data(symbol.Section) is { } data)
            {
                // The addend is in the instruction: the place of the variable when the symbol is the section.
                _references.Add(new MapReference(_code.Count, data, unchecked((uint)symbol.Value + (uint)first.Immediate)));
                _code.Add(first);
                _code.Add(second);
            }
            else
            {
                AddFunctionReference(first, symbol.Section, unchecked((long)symbol.Value + first.Immediate) / Instruction.Size);
                _code.Add(second with { Immediate = 0 });
            }
        }

        private void AppendCall(ObjectFunction function, int slot, Instruction call, ElfRelocation? relocation)
        {
            if (relocation is not { } r)
            {
                AddCall(call, function.Section.Index, (long)slot + call.Immediate + 1);
                return;
            }

            var symbol = linker._elf.Symbols[(int)r.Symbol];
            if (r.Type != CallRelocation)
            {
                throw new UnresolvedException($"function '{function.Name}': relocation kind {r.Type} on a call");
            }

            if (symbol.Section == 0)
            {
                _code.Add(linker.KernelFunction(symbol, call));
                return;
            }

            AddCall(call, symbol.Section, unchecked((long)(symbol.Value / Instruction.Size) + call.Immediate + 1));
        }

        private void AddFunctionReference(Instruction first, int section, long slot) => AddCall(first with { Src = PseudoFunction }, section, slot);

        private void AddCall(Instruction instruction, int section, long slot)
        {
            var target = linker._code.FunctionAt(section, slot) ?? throw new UnresolvedException(
                $"it refers to {(section < linker._elf.Sections.Count ? $"'{linker._elf.Sections[section].Name}'" : $"section {section}")} at {slot * Instruction.Size}, where neither a map nor data nor a function is");
            Want(target);
            _calls.Add((_code.Count, target));
            _code.Add(instruction);
        }
    }

    /// <summary>A function of the kernel (kfunc, kernel 5.13). A weak one that is missing may only be in dead code.</summary>
    private Instruction KernelFunction(ElfSymbol symbol, Instruction call)
    {
        var name = _elf.NameOf(symbol);
        return KernelType(name, BtfKind.Function) is { } id
            ? call with { Src = OpCodes.PseudoKfunc, Offset = 0, Immediate = (int)id }
            : symbol.Binding == ElfBinding.Weak ? FieldRelocator.Poison
            : throw new UnresolvedException($"it calls '{name}', which is neither in the object nor a function of this kernel");
    }

    /// <summary>A variable of the kernel by its type (kernel 5.10). A weak one that is missing is null.</summary>
    private Instruction KernelVariable(ElfSymbol symbol, Instruction first)
    {
        var name = _elf.NameOf(symbol);
        return KernelType(name, BtfKind.Variable) is { } id ? first with { Src = PseudoTypeId, Immediate = (int)id }
            : symbol.Binding == ElfBinding.Weak ? first with { Src = 0, Immediate = 0 }
            : throw new UnresolvedException($"it refers to '{name}', which is neither in the object nor a typed variable of this kernel");
    }

    /// <summary>One pass over the kernel's types for each name, however short: names of a hostile object may be the tail of any other.</summary>
    private uint? KernelType(string name, BtfKind kind)
    {
        if (name.Length == 0 || (kernelTypes ?? BtfFile.Kernel) is not { } types)
        {
            return null;
        }

        if (!_kernelTypes.TryGetValue((name, kind), out var id))
        {
            _kernelTypes[(name, kind)] = id = types.FindAll(name, kind) is [var first, ..] ? first : null;
        }

        return id;
    }
}
