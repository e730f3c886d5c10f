using System.Buffers.Binary;
using Skep.Bpf.Btf;

namespace Skep.Bpf.Elf;

/// <summary>
/// Makes an object's types fit for the kernel. Compilers leave to the loader how large data sections are and where variables lie in them;
/// what is declared but lives elsewhere must look as if it lived here; a hidden function is one the verifier sees with its callers.
/// Nothing moves: every number of a type and every offset stays.
/// </summary>
internal static class ObjectTypes
{
    private const int Static = 0, Global = 1, External = 2;

    internal static byte[] Prepare(ElfFile elf, BtfFile types)
    {
        var result = types.Bytes.ToArray();
        var symbols = new Dictionary<string, ElfSymbol>();
        foreach (var symbol in elf.Symbols.Where(s => s.Binding != ElfBinding.Local && s.Type != ElfSymbolType.Section))
        {
            symbols.TryAdd(elf.NameOf(symbol), symbol);
        }

        var anyInteger = AnyInteger(types);
        for (var id = 1u; id < (uint)types.Count; id++)
        {
            var type = types[id];
            var record = result.AsSpan(types.PositionOf(id));
            switch (type.Kind)
            {
                case BtfKind.DataSection when elf.Find(type.Name) is { } section:
                    Place(elf, types, type, section, symbols, record);
                    break;
                case BtfKind.DataSection:
                    PlaceExternals(types, type, record, anyInteger);
                    break;
                case BtfKind.Variable:
                    var hidden = symbols.TryGetValue(type.Name, out var variable) && variable.IsHidden;
                    Set(record[12..], types.LinkageOf(id) == External ? Global : hidden ? Static : (uint)types.LinkageOf(id));
                    if (types[types.SkipModifiers(type.SizeOrType)].Kind == BtfKind.Unknown)
                    {
                        // A symbol of the kernel without a type.
                        Set(record[8..], anyInteger);
                    }

                    break;
                case BtfKind.Function:
                    if (types.LinkageOf(id) == External)
                    {
                        NameParameters(types, type, result);
                    }

                    var linkage = types.LinkageOf(id) == External ? Global
                        : types.LinkageOf(id) == Global && symbols.TryGetValue(type.Name, out var function) && function.IsHidden ? Static
                        : types.LinkageOf(id);
                    Set(record[4..], ((uint)BtfKind.Function << 24) | (uint)linkage);
                    break;
            }
        }

        return result;
    }

    /// <summary>Bytes a variable takes of its section; never less than one, since the kernel wants a size.</summary>
    internal static uint SizeOfVariable(BtfFile types, uint variable) => (uint)Math.Max(types.SizeOf(types[variable].SizeOrType), 1);

    private static void Place(
        ElfFile elf, BtfFile types, BtfType type, ElfSection section, Dictionary<string, ElfSymbol> symbols, Span<byte> record)
    {
        Set(record[8..], (uint)section.Size);
        var entries = new (uint Variable, uint Offset, uint Size)[type.Count];
        for (var i = 0; i < entries.Length; i++)
        {
            var entry = record[(12 + (i * 12))..];
            var variable = BinaryPrimitives.ReadUInt32LittleEndian(entry);
            var offset = BinaryPrimitives.ReadUInt32LittleEndian(entry[4..]);
            var symbol = symbols.GetValueOrDefault(types[variable].Name);
            var here = symbol?.Section == section.Index && types.LinkageOf(variable) != Static;
            entries[i] = (variable, here ? (uint)symbol!.Value : offset, BinaryPrimitives.ReadUInt32LittleEndian(entry[8..]));
        }

        Array.Sort(entries, (a, b) => a.Offset.CompareTo(b.Offset));
        Write(record, entries);
    }

    /// <summary>Variables and functions of the kernel and its configuration are laid out one after the other, as their map has them.</summary>
    private static void PlaceExternals(BtfFile types, BtfType type, Span<byte> record, uint anyInteger)
    {
        var isConfiguration = type.Name == ExternalSymbols.ConfigurationSection;
        var (entries, at) = (new (uint Variable, uint Offset, uint Size)[type.Count], 0u);
        var variables = types.Variables(type.Id);
        for (var i = 0; i < entries.Length; i++)
        {
            var size = isConfiguration ? SizeOfVariable(types, variables[i]) : 4;
            at = isConfiguration ? ExternalSymbols.Align(at, size) : at;
            entries[i] = (variables[i], at, size);
            at += size;
        }

        Set(record[8..], Math.Max(at, 1));
        if (isConfiguration)
        {
            Write(record, entries);
            return;
        }

        // The kernel takes no functions in a section of variables, but the same bytes pass for a struct.
        Set(record, 0);
        Set(record[4..], ((uint)BtfKind.Struct << 24) | (uint)type.Count);
        for (var i = 0; i < entries.Length; i++)
        {
            var member = record[(12 + (i * 12))..];
            Set(member, 0);
            Set(member[4..], anyInteger);
            Set(member[8..], entries[i].Offset * 8);
        }
    }

    private static void Write(Span<byte> record, (uint Variable, uint Offset, uint Size)[] entries)
    {
        for (var i = 0; i < entries.Length; i++)
        {
            var entry = record[(12 + (i * 12))..];
            Set(entry, entries[i].Variable);
            Set(entry[4..], entries[i].Offset);
            Set(entry[8..], entries[i].Size);
        }
    }

    /// <summary>A function must have names for its parameters, which a declaration may leave out.</summary>
    private static void NameParameters(BtfFile types, BtfType function, byte[] result)
    {
        var prototype = types[function.SizeOrType];
        if (prototype.Kind != BtfKind.FunctionPrototype)
        {
            return;
        }

        var parameters = types.Parameters(prototype.Id);
        for (var i = 0; i < parameters.Length; i++)
        {
            if (parameters[i].Name.Length == 0 && parameters[i].Type != 0)
            {
                Set(result.AsSpan(types.PositionOf(prototype.Id) + 12 + (i * 8)), types.NameOffsetOf(function.Id));
            }
        }
    }

    private static uint AnyInteger(BtfFile types)
    {
        var any = 0u;
        for (var id = 1u; id < (uint)types.Count; id++)
        {
            if (types[id] is { Kind: BtfKind.Int, SizeOrType: var size } && size <= 4)
            {
                any = id;
                if (size == 4)
                {
                    break;
                }
            }
        }

        return any;
    }

    private static void Set(Span<byte> at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(at, value);
}
