using Skep.Bpf.Btf;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Elf;

/// <summary>
/// Tables of functions for the kernel (sections <c>.struct_ops</c> and <c>.struct_ops.link</c>): each variable is a map whose value is the
/// kernel's struct, filled by names of members. What the kernel's struct lacks must be zero.
/// </summary>
internal sealed class StructOpsReader(ElfFile elf, BtfFile types, KernelTypes? kernel)
{
    private const int CodeOffset = 8;

    /// <summary>A table, where its symbol is, and what is wrong with it.</summary>
    internal readonly record struct Table(string Name, ulong Offset, StructOpsLayout? Layout, string? Problem);

    internal static bool IsTable(string section) => section.TrimStart('?') is ".struct_ops" or ".struct_ops.link";

    internal IEnumerable<Table> ReadAll(ElfSection section)
    {
        if (types.Find(section.Name, BtfKind.DataSection) is not { } id)
        {
            yield break;
        }

        var variables = types.Variables(id).Select(v => types[v]).ToDictionary(v => v.Name, v => v.SizeOrType);
        var functions = elf.Relocations(section).DistinctBy(r => r.Offset).ToDictionary(r => r.Offset, r => elf.Symbols[(int)r.Symbol]);
        foreach (var symbol in elf.SymbolsIn(section).Where(s => s.Type == ElfSymbolType.Object))
        {
            var name = elf.NameOf(symbol);
            if (!variables.TryGetValue(name, out var type) || symbol.Value > (ulong)section.Size || symbol.Size > (ulong)section.Size - symbol.Value)
            {
                throw new ElfFormatException($"The table '{name}' has no type or lies outside its section", section.Offset);
            }

            var (layout, problem) = Read(types.SkipModifiers(type), elf.Contents(section).Span.Slice((int)symbol.Value, (int)symbol.Size), symbol.Value, functions);
            yield return new Table(name, symbol.Value, layout, problem);
        }
    }

    private (StructOpsLayout?, string?) Read(uint local, ReadOnlySpan<byte> contents, ulong start, Dictionary<ulong, ElfSymbol> functions)
    {
        var name = TypeComparison.EssentialName(types[local].Name);
        if (kernel?.Find("bpf_struct_ops_" + name, BtfKind.Struct) is not { } value
            || value.Types.Find(name, BtfKind.Struct) is not { } target
            || value.Types.FindMemberOf(value.Id, "data") is not { } data)
        {
            return (null, $"this kernel has no struct_ops '{name}'");
        }

        var result = new byte[value.Types.SizeOf(value.Id)];
        var programs = new List<(string, int)>();
        foreach (var member in types.Members(local))
        {
            var (offset, size) = (member.BitOffset / CodeOffset, types.SizeOf(member.Type));
            if (offset + size > contents.Length)
            {
                return (null, $"member '{member.Name}' of '{name}' lies outside the table");
            }

            var bytes = contents.Slice(offset, size);
            var isFunction = functions.TryGetValue(start + (ulong)offset, out var function);
            if (value.Types.FindMemberOf(target, TypeComparison.EssentialName(member.Name)) is not { } there)
            {
                if (isFunction || bytes.ContainsAnyExcept((byte)0))
                {
                    return (null, $"'{name}' of this kernel has no member '{member.Name}'");
                }

                continue;
            }

            var place = (data.BitOffset + there.BitOffset) / CodeOffset;
            if (isFunction)
            {
                programs.Add((FunctionName(function!), place));
            }
            else if (!bytes.ContainsAnyExcept((byte)0))
            {
                continue;
            }
            else if (member.BitSize != 0 || there.BitSize != 0 || value.Types.SizeOf(there.Type) != size || place + size > result.Length)
            {
                return (null, $"member '{member.Name}' of '{name}' has another size in this kernel");
            }
            else
            {
                bytes.CopyTo(result.AsSpan(place));
            }
        }

        return (new StructOpsLayout(value with { Id = target }, value, result, programs), null);
    }

    /// <summary>A static function is named by its section and place.</summary>
    private string FunctionName(ElfSymbol symbol)
    {
        if (symbol.Type == ElfSymbolType.Function || symbol.Section == 0 || symbol.Section >= elf.Sections.Count)
        {
            return elf.NameOf(symbol);
        }

        var there = elf.SymbolsIn(elf.Sections[symbol.Section]).FirstOrDefault(s => s.Type == ElfSymbolType.Function && s.Value == symbol.Value);
        return there is null ? "" : elf.NameOf(there);
    }
}
