using System.Buffers.Binary;
using Skep.Bpf.Btf;

namespace Skep.Bpf.Elf.Linking;

/// <summary>Puts <c>.BTF.ext</c> of several objects together: types of functions, source lines and relocations, by sections of the result.</summary>
internal sealed class BtfExtMerger
{
    private const int Header = 32, FunctionRecord = 8, LineRecord = 16, RelocationRecord = 16;

    private readonly SortedDictionary<string, List<byte>> _functions = new(StringComparer.Ordinal), _lines = new(StringComparer.Ordinal), _relocations = new(StringComparer.Ordinal);

    /// <summary>Adds what an object says of its code; its sections begin at <paramref name="start"/> of those of the result, in bytes.</summary>
    internal void Add(BtfExt ext, BtfMerger.Part part, Func<string, uint> start)
    {
        foreach (var (section, slot, type) in ext.Functions)
        {
            Write(_functions, section, start(section) + ((uint)slot * 8), part.Id(type));
        }

        foreach (var (section, lines) in ext.Lines)
        {
            lines.ForEach(l => Write(_lines, section, start(section) + ((uint)l.Slot * 8), part.Text(l.File), part.Text(l.Text), l.Position));
        }

        foreach (var (section, relocations) in ext.FieldRelocations)
        {
            relocations.ForEach(r => Write(_relocations, section, start(section) + ((uint)r.Slot * 8), part.Id(r.Type), part.Text(r.AccessOffset), (uint)r.Kind));
        }
    }

    /// <summary>The section, or null when nothing was added. Names of sections go into the strings of the types.</summary>
    internal byte[]? Build(BtfMerger types)
    {
        if (_functions.Count + _lines.Count + _relocations.Count == 0)
        {
            return null;
        }

        var parts = new[] { Part(_functions, FunctionRecord, types), Part(_lines, LineRecord, types), Part(_relocations, RelocationRecord, types) };
        var (result, at) = (new List<byte>(), 0u);
        Append(result, 0x0001eb9f, Header);
        foreach (var part in parts)
        {
            Append(result, at, (uint)part.Count);
            at += (uint)part.Count;
        }

        foreach (var part in parts)
        {
            result.AddRange(part);
        }

        return [.. result];
    }

    private static List<byte> Part(SortedDictionary<string, List<byte>> sections, int record, BtfMerger types)
    {
        var result = new List<byte>();
        if (sections.Count == 0)
        {
            return result;
        }

        Append(result, (uint)record);
        foreach (var (name, records) in sections)
        {
            Append(result, types.AddString(name), (uint)(records.Count / record));
            result.AddRange(records);
        }

        return result;
    }

    private static void Write(SortedDictionary<string, List<byte>> sections, string section, params ReadOnlySpan<uint> words)
    {
        if (!sections.TryGetValue(section, out var list))
        {
            sections[section] = list = [];
        }

        Append(list, words);
    }

    private static void Append(List<byte> list, params ReadOnlySpan<uint> words)
    {
        Span<byte> word = stackalloc byte[4];
        foreach (var value in words)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(word, value);
            list.AddRange(word);
        }
    }
}
