using Skep.Bpf.Asm;
using Skep.Bpf.Btf;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Elf;

/// <summary>
/// Makes programs of functions: what a program calls is appended to it, calls and references to functions, maps, data and the kernel are resolved.
/// </summary>
internal sealed class ProgramLinker(ElfFile elf, ObjectCode code, ObjectMaps maps, ExternalSymbols externals, ObjectBtf? btf, string license)
{
    // The kernel takes a million instructions in a program; the sum bounds what programs that share functions may cost.
    private const int LongestProgram = 1_000_000, LongestObject = 4_000_000;
    private const byte PseudoTypeId = 3;
    private const uint WideLoadRelocation = 1, CallRelocation = 10;

    private readonly ElfFile _elf = elf;
    private readonly ObjectCode _code = code;
    private readonly ObjectMaps _maps = maps;
    private readonly ObjectBtf? _btf = btf;
    private readonly string _license = license;

    private int _total;

    internal List<ObjectProgram> Link()
    {
        var tables = TablesByProgram();
        return [.. _code.Programs.Select(f => Link(f, tables))];
    }

    /// <summary>The place of each program in a table of functions for the kernel.</summary>
    private Dictionary<string, (KernelTypeId Type, int Member, UntypedMap Table)> TablesByProgram()
    {
        var result = new Dictionary<string, (KernelTypeId Type, int Member, UntypedMap Table)>();
        foreach (var map in _maps.All)
        {
            foreach (var (program, offset) in map.StructOps?.Programs ?? [])
            {
                var (type, value) = (map.StructOps!.Type, map.StructOps.ValueType);
                var at = (offset * 8) - value.Types.FindMemberOf(value.Id, "data")!.Value.BitOffset;
                var member = value.Types.Members(type.Id).TakeWhile(m => m.BitOffset != at).Count();
                result.TryAdd(program, (type, member, map));
            }
        }

        return result;
    }

    private ObjectProgram Link(ObjectFunction main, Dictionary<string, (KernelTypeId Type, int Member, UntypedMap Table)> tables)
    {
        var section = main.Section.Name;
        if (SectionName.Parse(section) is not { } kind)
        {
            return new ObjectProgram(main.Name, section, null, $"the section name '{section}' does not say what kind of program it is");
        }

        try
        {
            KernelTypeId? table = null;
            if (kind.Type == ProgramType.StructOps)
            {
                var place = tables.TryGetValue(main.Name, out var found) ? found
                    : throw new UnresolvedException("no table of functions that this kernel has (section .struct_ops) has it as a member");
                (table, kind) = (place.Type, kind with { Attach = (AttachType)place.Member });
            }

            return new ObjectProgram(main.Name, section, new Linking(this, externals).Run(main, kind, table), null);
        }
        catch (UnresolvedException e)
        {
            return new ObjectProgram(main.Name, section, null, e.Message);
        }
    }

    /// <summary>A reference that leads nowhere: it spoils the program, not the object.</summary>
    private sealed class UnresolvedException(string message) : Exception(message);

    private sealed class Linking(ProgramLinker linker, ExternalSymbols externals)
    {
        private readonly List<Instruction> _code = [];
        private readonly List<MapReference> _references = [];
        private readonly List<ModuleReference> _modules = [];
        private readonly List<(FunctionEntry Entry, ObjectFunction Function)> _entries = [];
        private readonly List<(int Slot, ObjectFunction Target)> _calls = [];
        private readonly Dictionary<ObjectFunction, int> _placed = [];
        private readonly Dictionary<int, string> _poison = [];
        private readonly Queue<ObjectFunction> _waiting = [];

        internal ProgramSpec Run(ObjectFunction main, SectionName kind, KernelTypeId? table)
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

            var code = _code.ToArray();
            return new ProgramSpec
            {
                Name = main.Name,
                Type = kind.Type,
                ExpectedAttachType = kind.Attach,
                AttachTarget = kind.Target,
                AttachType = table,
                Flags = kind.Flags,
                License = linker._license,
                Instructions = code,
                MapReferences = [.. _references],
                ModuleReferences = [.. _modules],
                Lines = new LazyLines(linker._code, [.. _entries]),
                Functions = [.. _entries.Select(e => e.Entry)],
                ObjectTypes = linker._btf is null ? null : linker._code.TypesOf(linker._btf, [.. _entries], code),
                Poison = _poison,
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
            _entries.Add((new FunctionEntry(start, function.Name), function));
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
                if (linker._code.FlawAt(function.Section, function.Start + i) is { } flaw)
                {
                    _poison[_code.Count] = !flaw.IsFatal ? flaw.Why : throw new UnresolvedException($"function '{function.Name}': {flaw.Why}");
                }

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
                if (first.Src == OpCodes.PseudoFunction)
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
                AppendExternalLoad(symbol, first, second);
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

        private void AppendExternalLoad(ElfSymbol symbol, Instruction first, Instruction second)
        {
            var external = Resolve(symbol, isCall: false);
            if (external.Offset >= 0)
            {
                _references.Add(new MapReference(_code.Count, externals.Configuration!, (uint)external.Offset));
            }
            else if (external.Type?.Module is { } module)
            {
                _modules.Add(new ModuleReference(_code.Count, module));
            }

            (first, second) = external.Type is { } type
                ? (first with { Src = PseudoTypeId, Immediate = (int)type.Id }, second with { Immediate = 0 })
                : (first with { Src = 0, Immediate = unchecked((int)external.Address) }, second with { Immediate = (int)(external.Address >> 32) });
            _code.Add(first);
            _code.Add(second);
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
                AppendExternalCall(symbol, call);
                return;
            }

            AddCall(call, symbol.Section, unchecked((long)(symbol.Value / Instruction.Size) + call.Immediate + 1));
        }

        /// <summary>A function of the kernel (kfunc, kernel 5.13). A weak one that is missing may only be in dead code.</summary>
        private void AppendExternalCall(ElfSymbol symbol, Instruction call)
        {
            if (Resolve(symbol, isCall: true).Type is not { } function)
            {
                _poison[_code.Count] = $"this kernel has no function '{linker._elf.NameOf(symbol)}', which the program calls without asking whether it is there";
                _code.Add(FieldRelocator.Poison);
                return;
            }

            if (function.Module is { } module)
            {
                _modules.Add(new ModuleReference(_code.Count, module));
            }

            _code.Add(call with { Src = OpCodes.PseudoKfunc, Offset = 0, Immediate = (int)function.Id });
        }

        private ExternalSymbol Resolve(ElfSymbol symbol, bool isCall)
        {
            var external = externals.Resolve(linker._elf.NameOf(symbol), symbol.Binding == ElfBinding.Weak, isCall);
            return external.Problem is null ? external : throw new UnresolvedException(external.Problem);
        }

        private void AddFunctionReference(Instruction first, int section, long slot) => AddCall(first with { Src = OpCodes.PseudoFunction }, section, slot);

        private void AddCall(Instruction instruction, int section, long slot)
        {
            var target = linker._code.FunctionAt(section, slot) ?? throw new UnresolvedException(
                $"it refers to {(section < linker._elf.Sections.Count ? $"'{linker._elf.Sections[section].Name}'" : $"section {section}")} at {slot * Instruction.Size}, where neither a map nor data nor a function is");
            Want(target);
            _calls.Add((_code.Count, target));
            _code.Add(instruction);
        }
    }
}
