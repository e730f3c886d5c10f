using System.Buffers.Binary;
using Skep.Bpf.Btf;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Elf;

/// <summary>The maps of an object: those described by types, those described by structs, and global data.</summary>
internal sealed class ObjectMaps
{
    private const int MostMaps = 4096, LegacySize = 20;

    private readonly List<UntypedMap> _all = [];
    private readonly Dictionary<(int Section, ulong Offset), UntypedMap> _bySymbol = [];
    private readonly Dictionary<int, UntypedMap> _data = [];

    internal IReadOnlyList<UntypedMap> All => _all;

    internal static ObjectMaps Read(ElfFile elf, BtfFile? types)
    {
        var maps = new ObjectMaps();
        foreach (var section in elf.Sections)
        {
            if (section.Type is not (ElfSectionType.ProgramBits or ElfSectionType.NoBits) || section.Size == 0)
            {
                continue;
            }

            switch (section.Name)
            {
                case ".maps":
                    maps.ReadTyped(elf, section, types);
                    break;
                case "maps":
                    maps.ReadLegacy(elf, section);
                    break;
                case var name when IsOrBelow(name, ".rodata") || IsOrBelow(name, ".data") || IsOrBelow(name, ".bss"):
                    maps.AddData(section, elf.Contents(section));
                    break;
                default:
                    break;
            }
        }

        return maps;
    }

    /// <summary>The map that a symbol at that place names, or null.</summary>
    internal UntypedMap? At(int section, ulong offset) => _bySymbol.GetValueOrDefault((section, offset));

    /// <summary>The map of a section of global data, or null.</summary>
    internal UntypedMap? Data(int section) => _data.GetValueOrDefault(section);

    private void ReadTyped(ElfFile elf, ElfSection section, BtfFile? types)
    {
        var reader = new TypedMapReader(
            types ?? throw new ElfFormatException("Maps described by types, but the object has no types (.BTF)", section.Offset), section.Offset);
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

            Add(map, section, symbol.Value);
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

    private void AddData(ElfSection section, ReadOnlyMemory<byte> contents)
    {
        // Constants are not mapped: the kernel freezes only what nobody could write through a mapping.
        var constant = IsOrBelow(section.Name, ".rodata");
        var flags = constant ? MapFlags.ReadOnlyForPrograms : MapFlags.Mmapable;
        var map = new UntypedMap(MapKind.Array, sizeof(uint), section.Size, 1, flags, section.Name) { InitialValue = contents, IsConstant = constant };
        _data.Add(section.Index, map);
        _all.Add(map);
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

    private static bool IsOrBelow(string name, string section) =>
        name.StartsWith(section, StringComparison.Ordinal) && (name.Length == section.Length || name[section.Length] == '.');
}
