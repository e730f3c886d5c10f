using Skep.Bpf.Btf;

namespace Skep.Bpf.Elf.Linking;

/// <summary>
/// Makes one object of several, as <c>bpftool gen object</c> does: sections of one name are put one after the other, what one object
/// declares is what another defines, of weak definitions the first counts unless there is a strong one, types are put together.
/// </summary>
public static class ObjectLinker
{
    /// <summary>Links object files.</summary>
    /// <param name="paths">Paths of the files, in the order in which their contents are put together.</param>
    /// <exception cref="ElfFormatException">A file is damaged, or two define the same; the message says which.</exception>
    public static byte[] Link(params IReadOnlyList<string> paths)
    {
        ArgumentNullException.ThrowIfNull(paths);
        return Link([.. paths.Select(p => (p, File.ReadAllBytes(p)))]);
    }

    /// <summary>Links objects in memory. Names are for messages.</summary>
    /// <exception cref="ElfFormatException">An object is damaged, or two define the same; the message says which.</exception>
    public static byte[] Link(params IReadOnlyList<(string Name, byte[] Contents)> objects)
    {
        ArgumentNullException.ThrowIfNull(objects);
        try
        {
            var linking = new Linking();
            foreach (var (name, contents) in objects)
            {
                linking.Add(name, ElfFile.Parse(contents));
            }

            return linking.Finish();
        }
        catch (Exception e) when (e is InvalidDataException or ArgumentException or OverflowException)
        {
            throw new ElfFormatException($"The objects cannot be linked: {e.Message}", 0, e);
        }
    }

    /// <summary>A section of the result: contents so far, and relocations.</summary>
    private sealed class Merged(string name, ElfSectionType type, ulong flags)
    {
        internal string Name => name;

        internal ElfSectionType Type { get; set; } = type;

        internal ulong Flags => flags;

        internal List<byte> Contents { get; } = [];

        /// <summary>Bytes, of which zeros at the end need not be in the contents.</summary>
        internal int Size { get; set; }

        internal List<(ulong Offset, uint Type, int Symbol)> Relocations { get; } = [];
    }

    /// <summary>An object, where its sections went, and which symbols of the result its symbols are.</summary>
    private sealed record Input(string Name, ElfFile Elf, Dictionary<int, (int Section, uint Start)> Places, int[] Symbols);

    private sealed class Linking
    {
        private const int Alignment = 16, LargestContents = 1 << 24;

        private readonly List<Merged> _sections = [];
        private readonly List<Input> _inputs = [];
        private readonly List<ElfObjectWriter.Symbol> _symbols = [];
        private readonly Dictionary<string, int> _global = [];
        private readonly Dictionary<string, string> _definedBy = [];

        internal void Add(string name, ElfFile elf)
        {
            var input = new Input(name, elf, [], new int[elf.Symbols.Count]);
            _inputs.Add(input);
            foreach (var section in elf.Sections.Where(IsContent))
            {
                input.Places[section.Index] = Append(input, section);
            }

            for (var i = 1; i < elf.Symbols.Count; i++)
            {
                input.Symbols[i] = AddSymbol(input, elf.Symbols[i]);
            }
        }

        internal byte[] Finish()
        {
            foreach (var input in _inputs)
            {
                Relocate(input);
            }

            var writer = new ElfObjectWriter();
            foreach (var section in _sections)
            {
                var zeros = section.Type == ElfSectionType.NoBits;
                writer.Add(section.Name, section.Type, section.Flags, zeros ? [] : [.. section.Contents], section.Size);
            }

            AddTypes(writer);

            return writer.Build(_symbols, _sections.Select((s, i) => (i + 1, s.Relocations)).Where(s => s.Relocations.Count > 0));
        }

        private static bool IsContent(ElfSection section) =>
            section is { Size: > 0, Type: ElfSectionType.ProgramBits or ElfSectionType.NoBits }
            && section.Name is not (".BTF" or ".BTF.ext" or ".eh_frame") && !section.Name.StartsWith(".debug", StringComparison.Ordinal);

        private (int Section, uint Start) Append(Input input, ElfSection section)
        {
            var at = _sections.FindIndex(s => s.Name == section.Name);
            if (at < 0)
            {
                _sections.Add(new Merged(section.Name, section.Type, section.Flags));
                at = _sections.Count - 1;
            }

            var (merged, contents) = (_sections[at], input.Elf.Contents(section).ToArray());
            if (section.Name is "license" or "version" && merged.Size > 0)
            {
                return merged.Contents.ToArray().AsSpan().SequenceEqual(contents) ? (at, 0u)
                    : throw new ElfFormatException($"'{input.Name}' has another {section.Name} than the objects before it", section.Offset);
            }

            // Instructions follow without a gap; data lies as aligned as any variable may ask for.
            var start = section.IsCode ? merged.Size : (int)Math.Min(((long)merged.Size + Alignment - 1) & ~(Alignment - 1), int.MaxValue);
            var holds = section.Type == ElfSectionType.ProgramBits || merged.Type == ElfSectionType.ProgramBits;
            if ((long)start + section.Size > (holds ? LargestContents : int.MaxValue))
            {
                throw new ElfFormatException($"Section '{section.Name}' of the result would have {(long)start + section.Size} bytes", section.Offset);
            }

            if (holds)
            {
                merged.Type = ElfSectionType.ProgramBits;
                merged.Contents.AddRange(new byte[start - merged.Contents.Count]);
                merged.Contents.AddRange(section.Type == ElfSectionType.NoBits ? new byte[section.Size] : contents);
            }

            merged.Size = start + section.Size;
            return (at, (uint)start);
        }

        private int AddSymbol(Input input, ElfSymbol symbol)
        {
            var name = symbol.Type == ElfSymbolType.Section ? "" : input.Elf.NameOf(symbol);
            var place = input.Places.TryGetValue(symbol.Section, out var there) ? there : (Section: -1, Start: 0u);
            var moved = new ElfObjectWriter.Symbol(
                name, symbol.Type, symbol.Binding, place.Section + 1, symbol.Value + place.Start, symbol.Size, symbol.Other);
            if (symbol.Binding == ElfBinding.Local)
            {
                _symbols.Add(place.Section >= 0 || symbol.Section == 0 ? moved : new ElfObjectWriter.Symbol("", ElfSymbolType.None, ElfBinding.Local, 0, 0, 0, 0));
                return _symbols.Count - 1;
            }

            if (!_global.TryGetValue(name, out var at))
            {
                _symbols.Add(moved);
                _global.Add(name, _symbols.Count - 1);
                _definedBy[name] = input.Name;
                return _symbols.Count - 1;
            }

            var known = _symbols[at];
            var license = place.Section >= 0 && _sections[place.Section].Name is "license" or "version";
            if (symbol.Section != 0 && known.Section != 0 && symbol.Binding != ElfBinding.Weak && known.Binding != ElfBinding.Weak && !license)
            {
                throw new ElfFormatException($"'{name}' is defined by '{_definedBy[name]}' and by '{input.Name}'", 0);
            }

            if (symbol.Section != 0 && (known.Section == 0 || (known.Binding == ElfBinding.Weak && symbol.Binding != ElfBinding.Weak)))
            {
                (_symbols[at], _definedBy[name]) = (moved, input.Name);
            }
            else if (symbol.Section == 0 && known.Section == 0 && symbol.Binding != ElfBinding.Weak)
            {
                _symbols[at] = known with { Binding = symbol.Binding };
            }

            return at;
        }

        private void Relocate(Input input)
        {
            foreach (var (index, (section, start)) in input.Places)
            {
                foreach (var relocation in input.Elf.Relocations(input.Elf.Sections[index]))
                {
                    _sections[section].Relocations.Add((relocation.Offset + start, relocation.Type, input.Symbols[relocation.Symbol]));
                }
            }
        }

        private void AddTypes(ElfObjectWriter writer)
        {
            var (types, exts, any) = (new BtfMerger(), new BtfExtMerger(), false);
            var declared = new HashSet<string>();
            foreach (var input in _inputs)
            {
                if (input.Elf.Find(".BTF") is not { } section)
                {
                    continue;
                }

                any = true;
                using var btf = BtfFile.Parse(input.Elf.Contents(section).Span);
                var starts = input.Places.ToLookup(p => input.Elf.Sections[p.Key].Name, p => p.Value.Start);
                var part = types.Add(btf, (name, variable, offset) => PlaceOf(input, starts, declared, btf, name, variable, offset));
                if (input.Elf.Find(".BTF.ext") is { } ext)
                {
                    exts.Add(BtfExt.Read(input.Elf.Contents(ext).Span, btf, ext.Offset), part, name => starts[name].FirstOrDefault());
                }
            }

            if (!any)
            {
                return;
            }

            var extBytes = exts.Build(types);
            var bytes = types.Build(name => (uint)(_sections.Find(s => s.Name == name)?.Size ?? 0));
            writer.Add(".BTF", ElfSectionType.ProgramBits, 0, bytes, bytes.Length);
            if (extBytes is not null)
            {
                writer.Add(".BTF.ext", ElfSectionType.ProgramBits, 0, extBytes, extBytes.Length);
            }
        }

        /// <summary>Where a variable of a section of types is in the result; null for one that lost, or is defined or declared by an object before.</summary>
        private uint? PlaceOf(
            Input input, ILookup<string, uint> starts, HashSet<string> declared, BtfFile btf, string section, BtfType variable, uint offset)
        {
            var isStatic = btf.LinkageOf(variable.Id) == 0;
            if (isStatic || !_global.TryGetValue(variable.Name, out var at))
            {
                return starts[section].FirstOrDefault() + offset;
            }

            var symbol = _symbols[at];
            var here = symbol.Section == 0 ? null : _sections[symbol.Section - 1].Name;
            if (here is not null && here != section)
            {
                return null;
            }

            // The first to declare what nobody defines speaks for all; of what is defined, the object that does.
            return here is null ? declared.Add(variable.Name) ? 0 : null : _definedBy[variable.Name] == input.Name ? (uint)symbol.Value : null;
        }
    }
}
