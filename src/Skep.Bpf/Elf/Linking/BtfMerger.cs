using System.Buffers.Binary;
using System.Text;
using Skep.Bpf.Btf;

namespace Skep.Bpf.Elf.Linking;

/// <summary>
/// Puts the types of several objects one after the other. Types that are the same in two objects stay twice, which costs memory and no
/// meaning; sections of variables of one name become one, since the kernel knows a map by it.
/// </summary>
internal sealed class BtfMerger
{
    // A kernel takes no more (BTF_MAX_SIZE).
    private const int LargestResult = 16 << 20;

    private readonly List<byte> _types = [];
    private readonly List<byte> _strings = [0];
    private readonly Dictionary<string, uint> _added = [];
    private readonly Dictionary<string, (string Name, List<(uint Variable, uint Offset, uint Size)> Entries)> _sections = [];
    private uint _lastId;

    /// <summary>How the types of one object are numbered in the result, and where its strings are.</summary>
    internal sealed record Part(uint[] Ids, uint FirstString)
    {
        internal uint Id(uint old) => old < (uint)Ids.Length ? Ids[old] : throw new InvalidDataException($"The BTF refers to type {old}, of {Ids.Length}.");

        internal uint Text(uint old) => old == 0 ? 0 : FirstString + old;
    }

    /// <summary>Adds an object's types. What a section of variables has is asked of <paramref name="place"/>: where a variable went, or null when it went away.</summary>
    internal Part Add(BtfFile types, Func<string, BtfType, uint, uint?> place)
    {
        var part = new Part(new uint[types.Count], (uint)_strings.Count);
        _strings.AddRange(types.Bytes.Slice(types.Strings.Start, types.Strings.Length));
        if (_strings.Count + _types.Count + types.Bytes.Length > LargestResult)
        {
            throw new InvalidDataException($"Together the objects have more types than a kernel takes ({LargestResult} bytes).");
        }

        for (var id = 1u; id < (uint)types.Count; id++)
        {
            part.Ids[id] = types[id].Kind == BtfKind.DataSection ? 0 : ++_lastId;
        }

        for (var id = 1u; id < (uint)types.Count; id++)
        {
            var type = types[id];
            if (type.Kind == BtfKind.DataSection)
            {
                AddSection(types, type, part, place);
            }
            else
            {
                Copy(types.Bytes[types.PositionOf(id)..], type, part);
            }
        }

        return part;
    }

    /// <summary>Stores a string of the linker's own.</summary>
    internal uint AddString(string text)
    {
        if (!_added.TryGetValue(text, out var offset))
        {
            _added[text] = offset = (uint)_strings.Count;
            _strings.AddRange(Encoding.UTF8.GetBytes(text));
            _strings.Add(0);
        }

        return offset;
    }

    /// <summary>The types with their header of 24 bytes.</summary>
    internal byte[] Build(Func<string, uint> sizeOfSection)
    {
        foreach (var (name, entries) in _sections.Values.Where(s => s.Entries.Count > 0))
        {
            entries.Sort((a, b) => a.Offset.CompareTo(b.Offset));
            Write(AddString(name), ((uint)BtfKind.DataSection << 24) | (uint)entries.Count, sizeOfSection(name));
            entries.ForEach(e => Write(e.Variable, e.Offset, e.Size));
        }

        var types = _types.ToArray();
        Span<uint> header = [0x0001eb9f, 24, 0, (uint)types.Length, (uint)types.Length, (uint)_strings.Count];
        var result = new byte[24 + types.Length + _strings.Count];
        for (var i = 0; i < header.Length; i++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(result.AsSpan(i * 4), header[i]);
        }

        types.CopyTo(result, 24);
        _strings.CopyTo(result, 24 + types.Length);
        return result;
    }

    private void AddSection(BtfFile types, BtfType section, Part part, Func<string, BtfType, uint, uint?> place)
    {
        if (!_sections.TryGetValue(section.Name, out var merged))
        {
            _sections[section.Name] = merged = (section.Name, []);
        }

        var record = types.Bytes[types.PositionOf(section.Id)..];
        for (var i = 0; i < section.Count; i++)
        {
            var entry = record[(12 + (i * 12))..];
            var (variable, offset) = (U32(entry, 0), U32(entry, 4));
            if (place(section.Name, types[variable], offset) is { } there)
            {
                merged.Entries.Add((part.Id(variable), there, U32(entry, 8)));
            }
        }
    }

    /// <summary>Copies a record with its references: <c>0 name:4  4 info:4  8 size or type:4</c>, then what its kind has.</summary>
    private void Copy(ReadOnlySpan<byte> record, BtfType type, Part part)
    {
        var refers = type.Kind is BtfKind.Pointer or BtfKind.Typedef or BtfKind.Volatile or BtfKind.Const or BtfKind.Restrict or BtfKind.Function
            or BtfKind.FunctionPrototype or BtfKind.Variable or BtfKind.DeclarationTag or BtfKind.TypeTag;
        Write(part.Text(U32(record, 0)), U32(record, 4), refers ? part.Id(U32(record, 8)) : U32(record, 8));
        switch (type.Kind)
        {
            case BtfKind.Int or BtfKind.Variable or BtfKind.DeclarationTag:
                Write(U32(record, 12));
                break;
            case BtfKind.Array:
                Write(part.Id(U32(record, 12)), part.Id(U32(record, 16)), U32(record, 20));
                break;
            case BtfKind.Struct or BtfKind.Union:
                for (var at = 12; at < 12 + (type.Count * 12); at += 12)
                {
                    Write(part.Text(U32(record, at)), part.Id(U32(record, at + 4)), U32(record, at + 8));
                }

                break;
            case BtfKind.Enum:
                for (var at = 12; at < 12 + (type.Count * 8); at += 8)
                {
                    Write(part.Text(U32(record, at)), U32(record, at + 4));
                }

                break;
            case BtfKind.Enum64:
                for (var at = 12; at < 12 + (type.Count * 12); at += 12)
                {
                    Write(part.Text(U32(record, at)), U32(record, at + 4), U32(record, at + 8));
                }

                break;
            case BtfKind.FunctionPrototype:
                for (var at = 12; at < 12 + (type.Count * 8); at += 8)
                {
                    Write(part.Text(U32(record, at)), part.Id(U32(record, at + 4)));
                }

                break;
        }
    }

    private void Write(params ReadOnlySpan<uint> words)
    {
        Span<byte> word = stackalloc byte[4];
        foreach (var value in words)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(word, value);
            _types.AddRange(word);
        }
    }

    private static uint U32(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt32LittleEndian(bytes[at..]);
}
