using System.Buffers.Binary;
using Skep.Bpf.Asm;
using Skep.Bpf.Btf;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Elf;

/// <summary>A relocation against the types of the kernel: <c>0 insn_off:4  4 type_id:4  8 access_str_off:4  12 kind:4</c>.</summary>
/// <param name="Slot">Slot in the section.</param>
/// <param name="Type">Type in the object.</param>
/// <param name="Access">Path below the type: numbers separated by colons.</param>
/// <param name="Kind">What is asked.</param>
/// <param name="AccessOffset">Where the path is in the strings of the types.</param>
internal readonly record struct FieldRelocation(int Slot, uint Type, string Access, FieldQuestion Kind, uint AccessOffset);

/// <summary>A source line as it stands in the file: <c>0 insn_off:4  4 file_name_off:4  8 line_off:4  12 line:22 column:10</c>.</summary>
/// <param name="Slot">First slot in the section.</param>
/// <param name="File">Where the name of the file is in the strings of the types.</param>
/// <param name="Text">Where the text of the line is in them.</param>
/// <param name="Position">Line and column.</param>
internal readonly record struct ObjectLine(int Slot, uint File, uint Text, uint Position);

/// <summary>What a relocation asks of the kernel's types (<c>enum bpf_core_relo_kind</c>).</summary>
internal enum FieldQuestion : uint
{
    ByteOffset = 0, ByteSize = 1, Exists = 2, Signed = 3, LeftShift = 4, RightShift = 5, LocalTypeId = 6, TargetTypeId = 7, TypeExists = 8,
    TypeSize = 9, EnumeratorExists = 10, EnumeratorValue = 11, TypeMatches = 12,
}

/// <summary>
/// What <c>.BTF.ext</c> adds to the code: types of functions, source lines and relocations against the kernel's types.
/// <code>
/// 0 magic:2 version:1 flags:1   4 hdr_len:4   8 func_info_off:4 func_info_len:4   16 line_info_off:4 line_info_len:4
/// 24 core_relo_off:4 core_relo_len:4 (newer)
/// </code>
/// Each part begins with the size of a record, then for every section: name:4, number of records:4, records.
/// </summary>
internal sealed class BtfExt
{
    private const ushort Magic = 0xeb9f;
    private const int LongestText = 256, LongestAccess = 256;

    private readonly BtfFile _types;
    private readonly int _offset;
    private readonly Dictionary<(uint, int), string> _texts = [];
    private readonly Dictionary<(string Section, int Slot), uint> _functions = [];

    private BtfExt(BtfFile types, int offset) => (_types, _offset) = (types, offset);

    /// <summary>Types of functions, by section and slot.</summary>
    internal IEnumerable<(string Section, int Slot, uint Type)> Functions => _functions.Select(f => (f.Key.Section, f.Key.Slot, f.Value));

    /// <summary>Source lines by section, ordered by slot.</summary>
    internal Dictionary<string, List<ObjectLine>> Lines { get; } = [];

    /// <summary>Relocations by section.</summary>
    internal Dictionary<string, List<FieldRelocation>> FieldRelocations { get; } = [];

    internal static BtfExt Read(ReadOnlySpan<byte> bytes, BtfFile types, int offset)
    {
        var result = new BtfExt(types, offset);
        if (bytes.Length < 24 || BinaryPrimitives.ReadUInt16LittleEndian(bytes) != Magic)
        {
            throw new ElfFormatException("The section .BTF.ext is damaged", offset);
        }

        var header = U32(bytes, 4);
        result.ReadPart(bytes, header, 8, 8, (section, record) => result._functions.TryAdd((section, Slot(record)), U32(record, 4)));
        result.ReadPart(bytes, header, 16, 16, result.AddLine);
        if (header >= 32 && bytes.Length >= 32)
        {
            result.ReadPart(bytes, header, 24, 16, result.AddRelocation);
        }

        foreach (var lines in result.Lines.Values)
        {
            lines.Sort((a, b) => a.Slot.CompareTo(b.Slot));
        }

        return result;
    }

    private delegate void RecordReader(string section, ReadOnlySpan<byte> record);

    private void ReadPart(ReadOnlySpan<byte> bytes, uint header, int field, uint leastRecord, RecordReader add)
    {
        var (start, length) = ((ulong)header + U32(bytes, field), U32(bytes, field + 4));
        if (length == 0)
        {
            return;
        }

        if (start + length > (ulong)bytes.Length || length < 4)
        {
            throw new ElfFormatException("A part of .BTF.ext lies outside it", _offset + field);
        }

        var part = bytes.Slice((int)start, (int)length);
        var size = U32(part, 0);
        if (size < leastRecord)
        {
            throw new ElfFormatException($"The records of .BTF.ext are too short: {size} bytes", _offset + (int)start);
        }

        part = part[4..];
        while (part.Length >= 8)
        {
            var (section, count) = (TextAt(U32(part, 0), LongestText), U32(part, 4));
            part = part[8..];
            if (count > (uint)part.Length / size)
            {
                throw new ElfFormatException($"The records of .BTF.ext for '{section}' are cut off", _offset + (int)start);
            }

            for (var i = 0; i < count; i++)
            {
                add(section, part[..(int)size]);
                part = part[(int)size..];
            }
        }
    }

    /// <summary>Type of the function that begins at a slot of a section; 0 when the file does not say.</summary>
    internal uint TypeOf(string section, int slot) => _functions.GetValueOrDefault((section, slot));

    /// <summary>A source line with its texts.</summary>
    internal SourceLine Decode(ObjectLine line) => new(
        line.Slot, TextAt(line.File, LongestText), (int)(line.Position >> 10), (int)(line.Position & 0x3ff), TextAt(line.Text, LongestText));

    private void AddLine(string section, ReadOnlySpan<byte> record) =>
        ListOf(Lines, section).Add(new ObjectLine(Slot(record), U32(record, 4), U32(record, 8), U32(record, 12)));

    private void AddRelocation(string section, ReadOnlySpan<byte> record) =>
        ListOf(FieldRelocations, section).Add(
            new FieldRelocation(Slot(record), U32(record, 4), TextAt(U32(record, 8), LongestAccess), (FieldQuestion)U32(record, 12), U32(record, 8)));

    private string TextAt(uint offset, int longest)
    {
        if (!_types.HasString(offset))
        {
            // Only a source line is missed, which is looked at when something else went wrong; the kernel will say if it minds.
            return "";
        }

        if (!_texts.TryGetValue((offset, longest), out var text))
        {
            _texts[(offset, longest)] = text = _types.StringAt(offset, longest);
        }

        return text;
    }

    private static List<T> ListOf<T>(Dictionary<string, List<T>> lists, string section)
    {
        if (!lists.TryGetValue(section, out var list))
        {
            lists[section] = list = [];
        }

        return list;
    }

    private static int Slot(ReadOnlySpan<byte> record) => (int)(U32(record, 0) / Instruction.Size);

    private static uint U32(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt32LittleEndian(bytes[at..]);
}
