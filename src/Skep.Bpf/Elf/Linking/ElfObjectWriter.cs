using System.Buffers.Binary;
using System.Text;

namespace Skep.Bpf.Elf.Linking;

/// <summary>Writes a relocatable ELF64 little-endian object for eBPF: header, contents, section headers.</summary>
internal sealed class ElfObjectWriter
{
    private const int HeaderSize = 64, SymbolSize = 24, RelocationSize = 16;
    private const ushort MostSections = 0xff00;

    private readonly List<Section> _sections = [new("", ElfSectionType.Null, 0, [], 0, 0, 0, 0, 0)];

    private sealed record Section(string Name, ElfSectionType Type, ulong Flags, byte[] Contents, int Size, uint Link, uint Info, int Alignment, int EntrySize);

    /// <summary>A symbol of the result: as in the file, with its name.</summary>
    internal readonly record struct Symbol(string Name, ElfSymbolType Type, ElfBinding Binding, int Section, ulong Value, ulong Size, byte Other);

    /// <summary>Adds a section and gives its number.</summary>
    internal int Add(string name, ElfSectionType type, ulong flags, byte[] contents, int size)
    {
        _sections.Add(new Section(name, type, flags, contents, size, 0, 0, 8, 0));
        return _sections.Count - 1;
    }

    /// <summary>The file. Symbols that only one object saw come first, as the format wants; relocations name symbols by their index in the list.</summary>
    internal byte[] Build(List<Symbol> symbols, IEnumerable<(int Section, List<(ulong Offset, uint Type, int Symbol)> Entries)> relocations)
    {
        var order = symbols.Select((s, i) => (s, i)).OrderBy(p => p.s.Binding == ElfBinding.Local ? 0 : 1).ToArray();
        var positions = new uint[symbols.Count];
        var strings = new List<byte> { 0 };
        var table = new byte[(symbols.Count + 1) * SymbolSize];
        for (var n = 0; n < order.Length; n++)
        {
            var (symbol, index) = order[n];
            positions[index] = (uint)n + 1;
            var at = table.AsSpan((n + 1) * SymbolSize);
            BinaryPrimitives.WriteUInt32LittleEndian(at, Text(strings, symbol.Name));
            at[4] = (byte)(((int)symbol.Binding << 4) | (int)symbol.Type);
            at[5] = symbol.Other;
            BinaryPrimitives.WriteUInt16LittleEndian(at[6..], (ushort)symbol.Section);
            BinaryPrimitives.WriteUInt64LittleEndian(at[8..], symbol.Value);
            BinaryPrimitives.WriteUInt64LittleEndian(at[16..], symbol.Size);
        }

        var locals = (uint)symbols.Count(s => s.Binding == ElfBinding.Local) + 1;
        var tableIndex = (uint)_sections.Count;
        _sections.Add(new Section(".symtab", ElfSectionType.SymbolTable, 0, table, table.Length, tableIndex + 1, locals, 8, SymbolSize));
        _sections.Add(new Section(".strtab", ElfSectionType.StringTable, 0, [.. strings], strings.Count, 0, 0, 1, 0));
        foreach (var (target, entries) in relocations)
        {
            var bytes = new byte[entries.Count * RelocationSize];
            for (var i = 0; i < entries.Count; i++)
            {
                BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(i * RelocationSize), entries[i].Offset);
                BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan((i * RelocationSize) + 8), entries[i].Type);
                BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan((i * RelocationSize) + 12), positions[entries[i].Symbol]);
            }

            _sections.Add(new Section(".rel" + _sections[target].Name, ElfSectionType.Relocations, 0, bytes, bytes.Length, tableIndex, (uint)target, 8, RelocationSize));
        }

        return Write();
    }

    private byte[] Write()
    {
        var names = new List<byte> { 0 };
        var offsets = _sections.Select(s => Text(names, s.Name)).Append(Text(names, ".shstrtab")).ToArray();
        _sections.Add(new Section(".shstrtab", ElfSectionType.StringTable, 0, [.. names], names.Count, 0, 0, 1, 0));
        if (_sections.Count >= MostSections)
        {
            throw new InvalidDataException("Together the objects have more sections than a file can.");
        }

        var file = new MemoryStream();
        file.SetLength(HeaderSize);
        file.Position = HeaderSize;
        var starts = new long[_sections.Count];
        for (var i = 0; i < starts.Length; i++)
        {
            file.Position = (file.Position + 7) & ~7;
            starts[i] = file.Position;
            file.Write(_sections[i].Contents);
        }

        var headers = (file.Position + 7) & ~7;
        var result = new byte[headers + (_sections.Count * HeaderSize)];
        file.ToArray().CopyTo(result, 0);

        // e_ident: magic, 64-bit, little-endian, version 1; then type 1 (relocatable), machine 247 (eBPF), version 1
        "\u007fELF\u0002\u0001\u0001"u8.CopyTo(result);
        Span<(int At, ushort Value)> halves = [(16, 1), (18, 247), (20, 1), (52, HeaderSize), (58, HeaderSize), (60, (ushort)_sections.Count), (62, (ushort)(_sections.Count - 1))];
        foreach (var (at, value) in halves)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(result.AsSpan(at), value);
        }

        BinaryPrimitives.WriteInt64LittleEndian(result.AsSpan(40), headers);
        for (var i = 0; i < _sections.Count; i++)
        {
            var section = _sections[i];
            var at = result.AsSpan((int)headers + (i * HeaderSize));
            BinaryPrimitives.WriteUInt32LittleEndian(at, offsets[i]);
            BinaryPrimitives.WriteUInt32LittleEndian(at[4..], (uint)section.Type);
            BinaryPrimitives.WriteUInt64LittleEndian(at[8..], section.Flags);
            BinaryPrimitives.WriteInt64LittleEndian(at[24..], i == 0 ? 0 : starts[i]);
            BinaryPrimitives.WriteInt64LittleEndian(at[32..], section.Size);
            BinaryPrimitives.WriteUInt32LittleEndian(at[40..], section.Link);
            BinaryPrimitives.WriteUInt32LittleEndian(at[44..], section.Info);
            BinaryPrimitives.WriteInt64LittleEndian(at[48..], section.Alignment);
            BinaryPrimitives.WriteInt64LittleEndian(at[56..], section.EntrySize);
        }

        return result;
    }

    private static uint Text(List<byte> strings, string text)
    {
        if (text.Length == 0)
        {
            return 0;
        }

        var offset = (uint)strings.Count;
        strings.AddRange(Encoding.UTF8.GetBytes(text));
        strings.Add(0);
        return offset;
    }
}
