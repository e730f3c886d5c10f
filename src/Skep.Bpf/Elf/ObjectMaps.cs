using System.Buffers.Binary;
using Skep.Bpf.Btf;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Elf;

/// <summary>The maps of an object: those described by types, those described by structs, and global data.</summary>
internal sealed class ObjectMaps
{
    private const int MostMaps = 4096, LegacySize = 20;

    // Where clang puts variables that lie in an arena (address space 1).
    private const string ArenaSection = ".addr_space.1";

    private readonly List<UntypedMap> _all = [];
    private readonly Dictionary<(int Section, ulong Offset), UntypedMap> _bySymbol = [];
    private readonly Dictionary<int, UntypedMap> _data = [];
    private readonly List<(UntypedMap Map, ulong Start, ulong End, int ValuesOffset)> _initialised = [];
    private readonly List<MapInitialValue> _values = [];
    private readonly Dictionary<UntypedMap, string> _problems = [];

    internal IReadOnlyList<UntypedMap> All => _all;

    /// <summary>Maps and programs that maps hold from the start.</summary>
    internal IReadOnlyList<MapInitialValue> InitialValues => _values;

    /// <summary>Maps that cannot be created on this kernel, and why.</summary>
    internal IReadOnlyDictionary<UntypedMap, string> Problems => _problems;

    internal static ObjectMaps Read(ElfFile elf, BtfFile? types, ObjectBtf? btf, KernelTypes? kernel, ExternalSymbols externals)
    {
        var maps = new ObjectMaps();
        if (externals.Configuration is { } configuration)
        {
            maps._all.Add(configuration);
        }

        foreach (var section in elf.Sections)
        {
            if (section.Type is not (ElfSectionType.ProgramBits or ElfSectionType.NoBits) || section.Size == 0)
            {
                continue;
            }

            switch (section.Name)
            {
                case ".maps":
                    maps.ReadTyped(elf, section, types, btf);
                    break;
                case var name when types is not null && StructOpsReader.IsTable(name):
                    maps.ReadTables(new StructOpsReader(elf, types, kernel), section, btf!);
                    break;
                case "maps":
                    maps.ReadLegacy(elf, section);
                    break;
                case var name when IsOrBelow(name, ".rodata") || IsOrBelow(name, ".data") || IsOrBelow(name, ".bss"):
                    maps.AddData(elf, section, btf, types);
                    break;
                default:
                    break;
            }
        }

        if (elf.Find(ArenaSection) is { Size: > 0 } variables)
        {
            maps.AddArenaData(elf, variables);
        }

        return maps;
    }

    /// <summary>The map that a symbol at that place names, or null.</summary>
    internal UntypedMap? At(int section, ulong offset) => _bySymbol.GetValueOrDefault((section, offset));

    /// <summary>The map of a section of global data, or null.</summary>
    internal UntypedMap? Data(int section) => _data.GetValueOrDefault(section);

    private void ReadTyped(ElfFile elf, ElfSection section, BtfFile? types, ObjectBtf? btf)
    {
        var reader = new TypedMapReader(
            types ?? throw new ElfFormatException("Maps described by types, but the object has no types (.BTF)", section.Offset), btf!, section.Offset);
        var symbols = new Dictionary<string, ElfSymbol>();
        foreach (var symbol in SymbolsOf(elf, section))
        {
            symbols[elf.NameOf(symbol)] = symbol;
        }

        foreach (var (name, map) in reader.ReadAll(".maps"))
        {
            if (!symbols.TryGetValue(name, out var symbol))
            {
                throw new ElfFormatException($"Map '{name}' has a type but no symbol", section.Offset);
            }

            Add(map.Map, section, symbol.Value);
            if (map.ValuesOffset >= 0)
            {
                _initialised.Add((map.Map, symbol.Value, symbol.Value + symbol.Size, map.ValuesOffset));
            }
        }

        ReadInitialValues(elf, section);
    }

    /// <summary>Initial values are relocations of the map's variable: an address of a map or function for each place in <c>values</c>.</summary>
    private void ReadInitialValues(ElfFile elf, ElfSection section)
    {
        foreach (var relocation in elf.Relocations(section))
        {
            var symbol = elf.Symbols[(int)relocation.Symbol];
            var place = _initialised.Find(i => relocation.Offset >= i.Start && relocation.Offset < i.End);
            var at = (long)(relocation.Offset - place.Start) - place.ValuesOffset;
            if (place.Map is null || at < 0 || at % sizeof(ulong) != 0)
            {
                throw new ElfFormatException($"An initial value in '{section.Name}' that belongs to no map", section.Offset + (long)relocation.Offset);
            }

            var map = At(symbol.Section, symbol.Value);
            var isProgram = place.Map.Kind == MapKind.ProgramArray;
            if (isProgram ? symbol.Type != ElfSymbolType.Function : map is null)
            {
                throw new ElfFormatException(
                    $"Map '{place.Map.Name}' begins with '{elf.NameOf(symbol)}', which is no {(isProgram ? "program" : "map")}", section.Offset + (long)relocation.Offset);
            }

            _values.Add(new MapInitialValue(place.Map, (uint)(at / sizeof(ulong)), isProgram ? null : map, isProgram ? elf.NameOf(symbol) : null));
        }
    }

    private void ReadTables(StructOpsReader reader, ElfSection section, ObjectBtf btf)
    {
        foreach (var (name, offset, layout, problem) in reader.ReadAll(section))
        {
            var flags = section.Name.EndsWith(".link", StringComparison.Ordinal) ? MapFlags.Link : MapFlags.None;
            var map = new UntypedMap(MapKind.StructOps, sizeof(uint), layout?.Data.Length ?? 0, 1, flags, name)
            {
                StructOps = layout, IsOptional = section.Name.StartsWith('?'), Types = new MapTypes(btf, 0, 0),
            };
            Add(map, section, offset);
            if (problem is not null)
            {
                _problems.Add(map, problem);
            }
        }
    }

    /// <summary><c>struct bpf_map_def</c>: 0 type:4  4 key_size:4  8 value_size:4  12 max_entries:4  16 map_flags:4; more may follow.</summary>
    private void ReadLegacy(ElfFile elf, ElfSection section)
    {
        var contents = elf.Contents(section).Span;
        foreach (var symbol in SymbolsOf(elf, section))
        {
            if (contents.Length < LegacySize || symbol.Value > (ulong)(contents.Length - LegacySize))
            {
                throw new ElfFormatException($"Map '{elf.NameOf(symbol)}' lies outside its section", section.Offset);
            }

            var at = contents[(int)symbol.Value..];
            var (keySize, valueSize) = (BinaryPrimitives.ReadInt32LittleEndian(at[4..]), BinaryPrimitives.ReadInt32LittleEndian(at[8..]));
            var kind = (MapKind)BinaryPrimitives.ReadUInt32LittleEndian(at);
            var entries = TypedMapReader.EntriesFor(kind, BinaryPrimitives.ReadUInt32LittleEndian(at[12..]));
            Add(new UntypedMap(kind, keySize, valueSize, entries, (MapFlags)BinaryPrimitives.ReadUInt32LittleEndian(at[16..]), elf.NameOf(symbol)), section, symbol.Value);
        }
    }

    private void AddData(ElfFile elf, ElfSection section, ObjectBtf? btf, BtfFile? types)
    {
        // Constants are not mapped: the kernel freezes only what nobody could write through a mapping. Nor is what only the object sees,
        // as libbpf has it: so a lock can be had in a section of its own.
        var constant = IsOrBelow(section.Name, ".rodata");
        var isPrivate = elf.SymbolsIn(section).Any(IsVariable) && elf.SymbolsIn(section).Where(IsVariable).All(s => s.Binding == ElfBinding.Local || s.IsHidden);
        var flags = constant ? MapFlags.ReadOnlyForPrograms : isPrivate ? MapFlags.None : MapFlags.Mmapable;
        var map = new UntypedMap(MapKind.Array, sizeof(uint), section.Size, 1, flags, section.Name) 
        {
            InitialValue = elf.Contents(section), IsConstant = constant,
            Types = types?.Find(section.Name, BtfKind.DataSection) is { } id ? new MapTypes(btf!, 0, id) : null,
        };
        _data.Add(section.Index, map);
        _all.Add(map);
    }

    /// <summary>Variables in an arena are its first bytes.</summary>
    private void AddArenaData(ElfFile elf, ElfSection section)
    {
        var arenas = _all.Where(m => m.Kind == MapKind.Arena).ToArray();
        if (arenas.Length != 1 || section.Size > (long)arenas[0].MaxEntries * Environment.SystemPageSize)
        {
            throw new ElfFormatException($"Variables in an arena ({section.Size} bytes), but {arenas.Length} arenas, or one that is too small", section.Offset);
        }

        arenas[0].InitialValue = elf.Contents(section);
        _data.Add(section.Index, arenas[0]);
    }

    private void Add(UntypedMap map, ElfSection section, ulong offset)
    {
        if (_all.Count == MostMaps)
        {
            throw new ElfFormatException($"More than {MostMaps} maps", section.Offset);
        }

        if (!_bySymbol.TryAdd((section.Index, offset), map))
        {
            throw new ElfFormatException($"Map '{map.Name}' lies where another one does", section.Offset + (long)offset);
        }

        _all.Add(map);
    }

    private static IEnumerable<ElfSymbol> SymbolsOf(ElfFile elf, ElfSection section) =>
        elf.SymbolsIn(section).Where(s => s.Type is ElfSymbolType.Object or ElfSymbolType.None && s.NameOffset != 0);

    private static bool IsVariable(ElfSymbol symbol) => symbol.Type == ElfSymbolType.Object;

    private static bool IsOrBelow(string name, string section) =>
        name.StartsWith(section, StringComparison.Ordinal) && (name.Length == section.Length || name[section.Length] == '.');
}
