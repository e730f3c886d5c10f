using System.Buffers.Binary;
using System.Text;
using Skep.Bpf.Asm;

namespace Skep.Bpf.Tests.Elf;

/// <summary>Writes small ELF objects, so that tests of the reader need no compiler.</summary>
internal sealed class ElfWriter
{
    private const uint Data = 1, SymbolTable = 2, Strings = 3, NoBits = 8, Relocations = 9;

    private readonly List<(string Name, uint Type, ulong Flags, byte[] Contents, uint Link, uint Info)> _sections = [("", 0, 0, [], 0, 0)];
    private readonly List<(string Name, byte Info, int Section, ulong Value, ulong Size)> _symbols = [("", 0, 0, 0, 0)];
    private readonly List<(int Section, List<(ulong Offset, uint Type, uint Symbol)> Entries)> _relocations = [];

    public int Section(string name, byte[] contents, bool code = false, bool zeros = false)
    {
        _sections.Add((name, zeros ? NoBits : Data, code ? 6u : 2u, contents, 0, 0));
        return _sections.Count - 1;
    }

    public int Code(string name, params Instruction[] code)
    {
        var bytes = new byte[code.Length * Instruction.Size];
        for (var i = 0; i < code.Length; i++)
        {
            code[i].Write(bytes.AsSpan(i * Instruction.Size));
        }

        return Section(name, bytes, code: true);
    }

    public uint Function(string name, int section, int slot, int slots, bool local = false) =>
        Symbol(name, (byte)((local ? 0 : 0x10) | 2), section, (ulong)slot * 8, (ulong)slots * 8);

    public uint Object(string name, int section, ulong offset, ulong size) => Symbol(name, 0x11, section, offset, size);

    public uint Symbol(string name, byte info, int section, ulong value, ulong size)
    {
        _symbols.Add((name, info, section, value, size));
        return (uint)_symbols.Count - 1;
    }

    public void Relocate(int section, int slot, uint type, uint symbol)
    {
        if (_relocations.Find(r => r.Section == section).Entries is not { } entries)
        {
            _relocations.Add((section, entries = []));
        }

        entries.Add(((ulong)slot * 8, type, symbol));
    }

    /// <summary>The file with a section of zeros that only its header knows, as large as told.</summary>
    public byte[] Build(string zerosOf, int size)
    {
        var index = Section(zerosOf, [], zeros: true);
        var file = Build();
        var headers = (int)BinaryPrimitives.ReadUInt64LittleEndian(file.AsSpan(40));
        BinaryPrimitives.WriteInt64LittleEndian(file.AsSpan(headers + (index * 64) + 32), size);
        return file;
    }

    public byte[] Build()
    {
        var strings = new List<byte> { 0 };
        var sections = _sections.ToList();
        var symbols = new byte[_symbols.Count * 24];
        for (var i = 0; i < _symbols.Count; i++)
        {
            var (name, info, section, value, size) = _symbols[i];
            var at = symbols.AsSpan(i * 24);
            BinaryPrimitives.WriteUInt32LittleEndian(at, Add(name));
            at[4] = info;
            BinaryPrimitives.WriteUInt16LittleEndian(at[6..], (ushort)section);
            BinaryPrimitives.WriteUInt64LittleEndian(at[8..], value);
            BinaryPrimitives.WriteUInt64LittleEndian(at[16..], size);
        }

        var names = (uint)(sections.Count + 1 + _relocations.Count);
        sections.Add((".symtab", SymbolTable, 0, symbols, names, 0));
        foreach (var (target, entries) in _relocations)
        {
            var bytes = new byte[entries.Count * 16];
            for (var i = 0; i < entries.Count; i++)
            {
                BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(i * 16), entries[i].Offset);
                BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan((i * 16) + 8), entries[i].Type);
                BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan((i * 16) + 12), entries[i].Symbol);
            }

            sections.Add((".rel" + _sections[target].Name, Relocations, 0, bytes, names - 1, (uint)target));
        }

        var nameOffsets = sections.Select(s => Add(s.Name)).Append(Add(".strtab")).ToArray();
        sections.Add((".strtab", Strings, 0, [.. strings], 0, 0));
        return Write(sections, nameOffsets);

        uint Add(string text)
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

    private static byte[] Write(
        List<(string Name, uint Type, ulong Flags, byte[] Contents, uint Link, uint Info)> sections, uint[] names)
    {
        var headers = 64 + sections.Sum(s => s.Type == NoBits ? 0 : s.Contents.Length);
        var file = new byte[headers + (sections.Count * 64)];
        "\u007fELF\u0002\u0001\u0001"u8.CopyTo(file);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(16), 1);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(18), 247);
        BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(40), (ulong)headers);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(58), 64);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(60), (ushort)sections.Count);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(62), (ushort)(sections.Count - 1));
        var position = 64;
        for (var i = 0; i < sections.Count; i++)
        {
            var section = sections[i];
            var at = file.AsSpan(headers + (i * 64));
            BinaryPrimitives.WriteUInt32LittleEndian(at, names[i]);
            BinaryPrimitives.WriteUInt32LittleEndian(at[4..], section.Type);
            BinaryPrimitives.WriteUInt64LittleEndian(at[8..], section.Flags);
            BinaryPrimitives.WriteUInt64LittleEndian(at[24..], (ulong)position);
            BinaryPrimitives.WriteUInt64LittleEndian(at[32..], (ulong)section.Contents.Length);
            BinaryPrimitives.WriteUInt32LittleEndian(at[40..], section.Link);
            BinaryPrimitives.WriteUInt32LittleEndian(at[44..], section.Info);
            if (section.Type != NoBits)
            {
                section.Contents.CopyTo(file, position);
                position += section.Contents.Length;
            }
        }

        return file;
    }
}
