using System.Buffers.Binary;
using System.Text;

namespace Skep.Bpf.Elf;

/// <summary>
/// What probes need of an executable or shared library: where functions and USDT probes are in the file. ELF64 little-endian; every offset is
/// checked, since the file may be hostile.
/// </summary>
public sealed class ExecutableFile
{
    private const int HeaderSize = 64, SectionHeaderSize = 64, SegmentHeaderSize = 56, SymbolSize = 24, LongestName = 4096;
    private const uint SymbolTable = 2, Note = 7, DynamicSymbols = 11, LoadSegment = 1, UsdtNote = 3;
    private const byte Function = 2, IndirectFunction = 10;

    private readonly string _path;
    private readonly byte[] _bytes;
    private readonly (ulong Offset, ulong Address, ulong Size)[] _segments;
    private readonly Section[] _sections;

    private ExecutableFile(string path, byte[] bytes)
    {
        (_path, _bytes) = (path, bytes);

        // e_ident: magic:4 class:1 data:1; then e_phoff:8 at 32, e_shoff:8 at 40, e_phnum:2 at 56, e_shnum:2 at 60, e_shstrndx:2 at 62
        if (bytes.Length < HeaderSize || U32(0) != 0x464c457f || bytes[4] != 2 || bytes[5] != 1)
        {
            throw new ElfFormatException($"{path} is no 64-bit little-endian ELF file", 0);
        }

        _segments = ReadSegments(U64(32), U16(56));
        _sections = ReadSections(U64(40), U16(60));
        NamesOf = U16(62) < _sections.Length ? _sections[U16(62)] : default;
    }

    private Section NamesOf { get; }

    /// <summary>Reads a file.</summary>
    /// <exception cref="ElfFormatException">It is damaged or no 64-bit little-endian ELF file.</exception>
    public static ExecutableFile Read(string path) => Parse(path, File.ReadAllBytes(path));

    /// <summary>Reads the bytes of a file.</summary>
    /// <exception cref="ElfFormatException">It is damaged or no 64-bit little-endian ELF file.</exception>
    public static ExecutableFile Parse(string path, byte[] bytes)
    {
        ArgumentNullException.ThrowIfNull(bytes);
        return new ExecutableFile(path, bytes);
    }

    /// <summary>Offset in the file at which the function begins; null when no symbol table has it.</summary>
    public ulong? FindFunction(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        var wanted = Encoding.UTF8.GetBytes(name);
        foreach (var table in _sections)
        {
            if (table.Type is not (SymbolTable or DynamicSymbols) || table.Link >= _sections.Length)
            {
                continue;
            }

            // st_name:4 st_info:1 st_other:1 st_shndx:2 st_value:8 st_size:8
            var names = _sections[table.Link];
            for (var at = table.Offset; at + SymbolSize <= table.Offset + table.Size; at += SymbolSize)
            {
                if ((_bytes[at + 4] & 15) is Function or IndirectFunction && U16(at + 6) != 0 && Text(names, U32(at)).SequenceEqual(wanted))
                {
                    return FileOffset(U64(at + 8));
                }
            }
        }

        return null;
    }

    /// <summary>The places of a USDT probe, from the notes of section <c>.note.stapsdt</c>; none when the file does not have it.</summary>
    /// <exception cref="ElfFormatException">A note is damaged.</exception>
    public IReadOnlyList<UsdtSite> FindUsdt(string provider, string name)
    {
        ArgumentNullException.ThrowIfNull(provider);
        ArgumentNullException.ThrowIfNull(name);
        return [.. Usdt().Where(site => site.Provider == provider && site.Name == name)];
    }

    /// <summary>All places of all USDT probes.</summary>
    /// <exception cref="ElfFormatException">A note is damaged.</exception>
    public IReadOnlyList<UsdtSite> Usdt()
    {
        var sites = new List<UsdtSite>();
        var anchor = _sections.FirstOrDefault(section => Text(NamesOf, section.Name).SequenceEqual(".stapsdt.base"u8));
        foreach (var section in _sections)
        {
            if (section.Type == Note && Text(NamesOf, section.Name).SequenceEqual(".note.stapsdt"u8))
            {
                ReadNotes(section, anchor.Address, sites);
            }
        }

        return sites;
    }

    /// <summary>
    /// A note: namesz:4 descsz:4 type:4, name and description padded to 4. The description of a probe: pc:8 base:8 semaphore:8, then provider,
    /// name and arguments, each NUL-terminated. Addresses are as linked with the base at its own; prelink may have moved both.
    /// </summary>
    private void ReadNotes(Section section, ulong anchor, List<UsdtSite> sites)
    {
        var at = section.Offset;
        var end = section.Offset + section.Size;
        while (at + 12 <= end)
        {
            var (nameSize, size, type) = (U32(at), U32(at + 4), U32(at + 8));
            var start = at + 12 + (long)((nameSize + 3) & ~3u);
            var next = start + (long)(((ulong)size + 3) & ~3ul);
            if (nameSize > section.Size || next > end + 3 || start + size > end)
            {
                throw new ElfFormatException($"A note of {_path} lies outside its section", at);
            }

            if (type == UsdtNote && nameSize == 8 && _bytes.AsSpan(at + 12, 8).SequenceEqual("stapsdt\0"u8) && size > 24)
            {
                var text = Encoding.UTF8.GetString(_bytes, (int)start + 24, (int)size - 24).Split('\0');
                if (text.Length < 3)
                {
                    throw new ElfFormatException($"A probe of {_path} has no name or no arguments", (int)start);
                }

                var moved = anchor == 0 ? 0 : anchor - U64((int)start + 8);
                var semaphore = U64((int)start + 16);
                var point = new Links.UprobePoint(
                    _path, FileOffset(U64((int)start) + moved), semaphore == 0 ? 0 : FileOffset(semaphore + moved));
                sites.Add(new UsdtSite(text[0], text[1], point, text[2]));
            }

            at = (int)next;
        }
    }

    private (ulong Offset, ulong Address, ulong Size)[] ReadSegments(ulong start, int count)
    {
        // p_type:4 p_flags:4 p_offset:8 p_vaddr:8 p_paddr:8 p_filesz:8
        var result = new List<(ulong, ulong, ulong)>();
        for (var i = 0; i < count; i++)
        {
            var at = Within(start + ((ulong)i * SegmentHeaderSize), SegmentHeaderSize);
            if (U32(at) == LoadSegment)
            {
                result.Add((U64(at + 8), U64(at + 16), U64(at + 32)));
            }
        }

        return [.. result];
    }

    private Section[] ReadSections(ulong start, int count)
    {
        // sh_name:4 sh_type:4 sh_flags:8 sh_addr:8 sh_offset:8 sh_size:8 sh_link:4
        var result = new Section[count];
        for (var i = 0; i < count; i++)
        {
            var at = Within(start + ((ulong)i * SectionHeaderSize), SectionHeaderSize);
            var isRead = U32(at + 4) is SymbolTable or DynamicSymbols or Note or 3;
            var size = isRead ? U64(at + 32) : 0;
            result[i] = new Section(U32(at), U32(at + 4), U64(at + 16), isRead ? Within(U64(at + 24), size) : 0, (int)size, U32(at + 40));
        }

        return result;
    }

    private ulong FileOffset(ulong address)
    {
        foreach (var segment in _segments)
        {
            if (address >= segment.Address && address - segment.Address < segment.Size)
            {
                return segment.Offset + (address - segment.Address);
            }
        }

        throw new ElfFormatException($"Address 0x{address:x} of {_path} is in no segment of the file", 0);
    }

    private ReadOnlySpan<byte> Text(Section table, uint offset)
    {
        if (offset >= (uint)table.Size)
        {
            return default;
        }

        var rest = _bytes.AsSpan(table.Offset + (int)offset, Math.Min(table.Size - (int)offset, LongestName));
        var end = rest.IndexOf((byte)0);
        return end < 0 ? default : rest[..end];
    }

    private int Within(ulong start, ulong size) =>
        start <= (ulong)_bytes.Length && size <= (ulong)_bytes.Length - start ? (int)start : throw new ElfFormatException($"A table of {_path} lies outside the file", 0);

    private ushort U16(int at) => BinaryPrimitives.ReadUInt16LittleEndian(_bytes.AsSpan(at));

    private uint U32(int at) => BinaryPrimitives.ReadUInt32LittleEndian(_bytes.AsSpan(at));

    private ulong U64(int at) => BinaryPrimitives.ReadUInt64LittleEndian(_bytes.AsSpan(at));

    private readonly record struct Section(uint Name, uint Type, ulong Address, int Offset, int Size, uint Link);
}
