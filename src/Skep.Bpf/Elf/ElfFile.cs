using System.Buffers.Binary;
using System.Text;

namespace Skep.Bpf.Elf;

/// <summary>
/// An ELF64 little-endian relocatable object for eBPF, read in place. Every offset and length of the file is checked before it is used, and
/// what is decoded never takes more than a few times the memory of the file: the file may be hostile.
/// </summary>
public sealed class ElfFile
{
    private const int HeaderSize = 64, SectionHeaderSize = 64, SymbolSize = 24, RelocationSize = 16;
    private const ushort Relocatable = 1, MachineBpf = 247, MachineNone = 0, NamesElsewhere = 0xffff;
    private const int LongestName = 4096;

    private readonly byte[] _bytes;
    private readonly ElfSection[] _sections;
    private readonly ElfSection? _symbolNames;
    private readonly Dictionary<int, string> _names = [];
    private readonly ILookup<int, ElfSymbol> _symbolsBySection;
    private readonly ILookup<uint, ElfSection> _relocationTables;
    private int _nameBudget;

    private ElfFile(byte[] bytes)
    {
        _bytes = bytes;
        // Names may overlap in the file, so that many could be made of few bytes.
        _nameBudget = bytes.Length > int.MaxValue / 4 ? int.MaxValue : Math.Max(bytes.Length * 4, 1 << 16);
        CheckHeader();
        _sections = ReadSections();
        var tables = _sections.Where(s => s.Type == ElfSectionType.SymbolTable).ToArray();
        if (tables.Length > 1)
        {
            throw new ElfFormatException("A second symbol table", tables[1].Offset);
        }

        if (tables.Length == 1)
        {
            _symbolNames = SectionAt(tables[0].Link, tables[0].Offset);
            Symbols = ReadSymbols(tables[0]);
        }

        _symbolsBySection = Symbols.ToLookup(s => s.Section);
        _relocationTables = _sections
            .Where(s => s.Type is ElfSectionType.Relocations or ElfSectionType.RelocationsWithAddend).ToLookup(s => s.Info);
    }

    /// <summary>The sections; the first is the null section.</summary>
    public IReadOnlyList<ElfSection> Sections => _sections;

    /// <summary>The symbols; the first is the null symbol.</summary>
    public IReadOnlyList<ElfSymbol> Symbols { get; } = [];

    /// <summary>Reads the tables of an object file. The bytes are not copied.</summary>
    /// <exception cref="ElfFormatException">The file is damaged or no 64-bit little-endian object for eBPF.</exception>
    public static ElfFile Parse(byte[] bytes)
    {
        ArgumentNullException.ThrowIfNull(bytes);
        return new ElfFile(bytes);
    }

    /// <summary>The first section of that name, or null.</summary>
    public ElfSection? Find(string name) => Array.Find(_sections, s => s.Name == name);

    /// <summary>Contents of a section; empty for <see cref="ElfSectionType.NoBits"/>.</summary>
    public ReadOnlyMemory<byte> Contents(ElfSection section)
    {
        ArgumentNullException.ThrowIfNull(section);
        return section.Type == ElfSectionType.NoBits ? default : _bytes.AsMemory(section.Offset, section.Size);
    }

    /// <summary>Name of a symbol; empty when it has none.</summary>
    /// <exception cref="ElfFormatException">The name lies outside the string table.</exception>
    public string NameOf(ElfSymbol symbol) => _symbolNames is { } table && symbol.NameOffset != 0 ? Text(table, symbol.NameOffset) : "";

    /// <summary>The symbols that lie in a section, in the order of the file.</summary>
    public IEnumerable<ElfSymbol> SymbolsIn(ElfSection section)
    {
        ArgumentNullException.ThrowIfNull(section);
        return _symbolsBySection[section.Index];
    }

    /// <summary>The relocations that apply to a section, in the order of the file.</summary>
    /// <exception cref="ElfFormatException">A relocation lies outside the section or names no symbol.</exception>
    public IReadOnlyList<ElfRelocation> Relocations(ElfSection target)
    {
        ArgumentNullException.ThrowIfNull(target);
        var result = new List<ElfRelocation>();
        foreach (var table in _relocationTables[(uint)target.Index])
        {
            if (table.Type == ElfSectionType.RelocationsWithAddend)
            {
                throw new ElfFormatException($"Relocations with addends for section '{target.Name}', which eBPF objects do not have", table.Offset);
            }

            for (var at = table.Offset; at + RelocationSize <= table.Offset + table.Size; at += RelocationSize)
            {
                var relocation = new ElfRelocation(U64(at), U32(at + 8), U32(at + 12));
                if (relocation.Offset >= (ulong)target.Size || relocation.Symbol >= (uint)Symbols.Count)
                {
                    throw new ElfFormatException($"A relocation of section '{target.Name}' lies outside it or names no symbol", at);
                }

                result.Add(relocation);
            }
        }

        return result;
    }

    private void CheckHeader()
    {
        // e_ident: magic:4 class:1 data:1 version:1; then e_type:2 at 16, e_machine:2 at 18
        if (_bytes.Length < HeaderSize || U32(0) != 0x464c457f)
        {
            throw new ElfFormatException("Not an ELF file", 0);
        }

        if (_bytes[4] == 2 && _bytes[5] == 2)
        {
            throw new ElfFormatException("An object for big-endian machines, which this one is not; compile it with -target bpfel or bpf", 5);
        }

        if (_bytes[4] != 2 || _bytes[5] != 1)
        {
            throw new ElfFormatException("Not a 64-bit little-endian ELF file", 4);
        }

        if (U16(16) != Relocatable || U16(18) is not (MachineBpf or MachineNone))
        {
            throw new ElfFormatException($"Not an object for eBPF: type {U16(16)}, machine {U16(18)}", 16);
        }
    }

    private ElfSection[] ReadSections()
    {
        var (start, size, count, names) = (U64(40), U16(58), (ulong)U16(60), (uint)U16(62));
        if (start == 0)
        {
            return [];
        }

        if (size != SectionHeaderSize || start > (ulong)_bytes.Length || (ulong)_bytes.Length - start < SectionHeaderSize)
        {
            throw new ElfFormatException("The section headers lie outside the file", 40);
        }

        // Many sections: the null section holds what does not fit the header.
        count = count == 0 ? U64((int)start + 32) : count;
        names = names == NamesElsewhere ? U32((int)start + 40) : names;
        if (count > ((ulong)_bytes.Length - start) / SectionHeaderSize)
        {
            throw new ElfFormatException($"{count} section headers do not fit the file", 60);
        }

        var sections = new ElfSection[count];
        for (var i = 0; i < sections.Length; i++)
        {
            sections[i] = ReadSection((int)start + (i * SectionHeaderSize), i);
        }

        if (names == 0)
        {
            return sections;
        }

        var table = names < count ? sections[names] : throw new ElfFormatException($"No section {names}, which should hold the names", 62);
        for (var i = 0; i < sections.Length; i++)
        {
            sections[i] = sections[i] with { Name = Text(table, U32((int)start + (i * SectionHeaderSize))) };
        }

        return sections;
    }

    private ElfSection ReadSection(int at, int index)
    {
        var (type, offset, size) = ((ElfSectionType)U32(at + 4), U64(at + 24), U64(at + 32));
        if (type == ElfSectionType.Null)
        {
            (offset, size) = (0, 0);
        }

        var there = type == ElfSectionType.NoBits ? 0 : size;
        if (size > int.MaxValue || there > (ulong)_bytes.Length || (there > 0 && offset > (ulong)_bytes.Length - there))
        {
            throw new ElfFormatException($"Section {index} lies outside the file", at);
        }

        return new ElfSection(index, "", type, U64(at + 8), there > 0 ? (int)offset : 0, (int)size, U32(at + 40), U32(at + 44));
    }

    private ElfSymbol[] ReadSymbols(ElfSection table)
    {
        var symbols = new ElfSymbol[table.Size / SymbolSize];
        for (var i = 0; i < symbols.Length; i++)
        {
            var at = table.Offset + (i * SymbolSize);
            var info = _bytes[at + 4];
            symbols[i] = new ElfSymbol(U32(at), (ElfSymbolType)(info & 0xf), (ElfBinding)(info >> 4), U16(at + 6), U64(at + 8), U64(at + 16), _bytes[at + 5]);
        }

        return symbols;
    }

    private ElfSection SectionAt(uint index, int from) =>
        index < (uint)_sections.Length ? _sections[index] : throw new ElfFormatException($"There is no section {index}", from);

    private string Text(ElfSection table, uint offset)
    {
        if (table.Type != ElfSectionType.StringTable || offset >= (uint)table.Size)
        {
            throw new ElfFormatException($"A name lies outside its string table, at {offset} of section {table.Index}", table.Offset);
        }

        var at = table.Offset + (int)offset;
        if (_names.TryGetValue(at, out var known))
        {
            return known;
        }

        var tail = _bytes.AsSpan(at, table.Size - (int)offset);
        var length = tail[..Math.Min(tail.Length, LongestName + 1)].IndexOf((byte)0);
        if (length < 0)
        {
            throw new ElfFormatException("A name does not end", at);
        }

        _nameBudget -= length;
        if (_nameBudget < 0)
        {
            throw new ElfFormatException("The names together are larger than the file", at);
        }

        return _names[at] = Encoding.UTF8.GetString(tail[..length]);
    }

    private ushort U16(int at) => BinaryPrimitives.ReadUInt16LittleEndian(_bytes.AsSpan(at));

    private uint U32(int at) => BinaryPrimitives.ReadUInt32LittleEndian(_bytes.AsSpan(at));

    private ulong U64(int at) => BinaryPrimitives.ReadUInt64LittleEndian(_bytes.AsSpan(at));
}
