using System.Numerics;
using Skep.Bpf.Btf;
using Skep.Bpf.Kernel;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Elf;

/// <summary>
/// Maps described by types: each variable of a data section is a struct whose members are arguments. A number is the length of an array
/// behind a pointer (<c>__uint(type, 1)</c>), a type what a pointer points at (<c>__type(key, int)</c>).
/// </summary>
internal sealed class TypedMapReader(BtfFile types, int offset)
{
    private const int MostMembers = 64, PinByName = 1;

    /// <summary>Entries a kind gets: a ring is whole pages and a power of two, an array of perf events has one entry per CPU unless told.</summary>
    internal static uint EntriesFor(MapKind kind, uint wanted) => kind switch
    {
        MapKind.PerfEventArray when wanted == 0 => (uint)PossibleCpus.Count,
        MapKind.RingBuffer or MapKind.UserRingBuffer when wanted is > 0 and <= 1u << 31 =>
            Math.Max(BitOperations.RoundUpToPowerOf2(wanted), (uint)Environment.SystemPageSize),
        _ => wanted,
    };

    internal IEnumerable<(string Name, UntypedMap Map)> ReadAll(string section)
    {
        if (types.Find(section, BtfKind.DataSection) is not { } id)
        {
            yield break;
        }

        foreach (var variable in types.Variables(id))
        {
            var type = types[variable];
            if (type.Kind != BtfKind.Variable)
            {
                throw new ElfFormatException($"Type {variable} in '{section}' is {type.Kind}, no variable", offset);
            }

            yield return (type.Name, Read(type.Name, type.SizeOrType, isInner: false));
        }
    }

    private UntypedMap Read(string name, uint id, bool isInner)
    {
        var shape = types[types.SkipModifiers(id)];
        if (shape.Kind != BtfKind.Struct || shape.Count > MostMembers)
        {
            throw new ElfFormatException($"Map '{name}' is not described by a struct", offset);
        }

        var (kind, keySize, valueSize, entries, flags, pinning, extra) = (default(MapKind), 0u, 0u, 0u, 0u, 0u, 0u);
        UntypedMap? inner = null;
        foreach (var member in types.Members(shape.Id))
        {
            switch (member.Name)
            {
                case "type":
                    kind = (MapKind)Number(name, member);
                    break;
                case "key_size":
                    keySize = Number(name, member);
                    break;
                case "value_size":
                    valueSize = Number(name, member);
                    break;
                case "max_entries":
                    entries = Number(name, member);
                    break;
                case "map_flags":
                    flags = Number(name, member);
                    break;
                case "pinning":
                    pinning = Number(name, member);
                    break;
                case "map_extra":
                    extra = Number(name, member);
                    break;
                case "key":
                    keySize = (uint)types.SizeOf(Pointed(name, member.Type));
                    break;
                case "value":
                    valueSize = (uint)types.SizeOf(Pointed(name, member.Type));
                    break;
                case "values" when kind is MapKind.ArrayOfMaps or MapKind.HashOfMaps:
                    inner = isInner
                        ? throw new ElfFormatException($"Map '{name}' nests maps deeper than the kernel does", offset)
                        : Read(name + ".inner", Pointed(name, types.ArrayShape(types.SkipModifiers(member.Type)).Element), isInner: true);
                    break;
                case "values" when kind == MapKind.ProgramArray:
                case "numa_node":
                    break;
                default:
                    throw new ElfFormatException($"Map '{name}' has an argument that is not known: '{member.Name}'", offset);
            }
        }

        // Values of maps of maps and programs are numbers of theirs, which authors may leave out.
        valueSize = inner is not null || (kind == MapKind.ProgramArray && valueSize == 0) ? sizeof(uint) : valueSize;
        keySize = keySize == 0 && kind is MapKind.ArrayOfMaps or MapKind.ProgramArray ? sizeof(uint) : keySize;
        if (keySize > int.MaxValue || valueSize > int.MaxValue)
        {
            throw new ElfFormatException($"Map '{name}' has keys or values that are too large", offset);
        }

        return new UntypedMap(kind, (int)keySize, (int)valueSize, EntriesFor(kind, entries), (MapFlags)flags, name)
        {
            Inner = inner, Extra = extra, PinnedByName = pinning == PinByName,
        };
    }

    private uint Number(string map, BtfMember member)
    {
        var id = types.SkipModifiers(Pointed(map, member.Type));
        return types[id].Kind == BtfKind.Array
            ? types.ArrayShape(id).Count
            : throw new ElfFormatException($"Map '{map}': '{member.Name}' is no number", offset);
    }

    private uint Pointed(string map, uint id)
    {
        var pointer = types[types.SkipModifiers(id)];
        return pointer.Kind == BtfKind.Pointer
            ? pointer.SizeOrType
            : throw new ElfFormatException($"Map '{map}': an argument is {pointer.Kind}, no pointer", offset);
    }
}
