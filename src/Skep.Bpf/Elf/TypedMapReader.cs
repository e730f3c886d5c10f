using System.Numerics;
using Skep.Bpf.Btf;
using Skep.Bpf.Kernel;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Elf;

/// <summary>
/// Maps described by types: each variable of a data section is a struct whose members are arguments. A number is the length of an array
/// behind a pointer (<c>__uint(type, 1)</c>), a type what a pointer points at (<c>__type(key, int)</c>).
/// </summary>
internal sealed class TypedMapReader(BtfFile types, ObjectBtf btf, int offset)
{
    private const int MostMembers = 64, PinByName = 1, External = 2;

    /// <summary>Entries a kind gets: a ring is whole pages and a power of two, an array of perf events has one entry per CPU unless told.</summary>
    internal static uint EntriesFor(MapKind kind, uint wanted) => kind switch
    {
        MapKind.PerfEventArray when wanted == 0 => (uint)PossibleCpus.Count,
        MapKind.RingBuffer or MapKind.UserRingBuffer when wanted is > 0 and <= 1u << 31 =>
            Math.Max(BitOperations.RoundUpToPowerOf2(wanted), (uint)Environment.SystemPageSize),
        _ => wanted,
    };

    /// <summary>A map and where in its variable the initial values are, in bytes; -1 when it has none.</summary>
    internal readonly record struct Description(UntypedMap Map, int ValuesOffset);

    internal IEnumerable<(string Name, Description Map)> ReadAll(string section)
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

            // One that is only declared is another object's.
            if (types.LinkageOf(variable) == External)
            {
                continue;
            }

            yield return (type.Name, Read(type.Name, type.SizeOrType, isInner: false));
        }
    }

    private Description Read(string name, uint id, bool isInner)
    {
        var shape = types[types.SkipModifiers(id)];
        if (shape.Kind != BtfKind.Struct || shape.Count > MostMembers)
        {
            throw new ElfFormatException($"Map '{name}' is not described by a struct", offset);
        }

        var (kind, keySize, valueSize, entries, flags, pinning, extra) = (default(MapKind), 0u, 0u, 0u, 0u, 0u, 0ul);
        var (keyType, valueType, node, valuesOffset) = (0u, 0u, (int?)null, -1);
        UntypedMap? inner = null;
        foreach (var member in types.Members(shape.Id))
        {
            switch (member.Name)
            {
                case "type":
                    kind = (MapKind)Number(name, member);
                    break;
                case "key_size":
                    keySize = (uint)Number(name, member);
                    break;
                case "value_size":
                    valueSize = (uint)Number(name, member);
                    break;
                case "max_entries":
                    entries = (uint)Number(name, member);
                    break;
                case "map_flags":
                    flags = (uint)Number(name, member);
                    break;
                case "pinning":
                    pinning = (uint)Number(name, member);
                    break;
                case "map_extra":
                    extra = Number(name, member);
                    break;
                case "key":
                    keyType = Pointed(name, member.Type);
                    keySize = (uint)types.SizeOf(keyType);
                    break;
                case "value":
                    valueType = Pointed(name, member.Type);
                    valueSize = (uint)types.SizeOf(valueType);
                    break;
                case "values" when kind is MapKind.ArrayOfMaps or MapKind.HashOfMaps:
                    valuesOffset = member.BitOffset / 8;
                    inner = isInner
                        ? throw new ElfFormatException($"Map '{name}' nests maps deeper than the kernel does", offset)
                        : Read(name + ".inner", Pointed(name, types.ArrayShape(types.SkipModifiers(member.Type)).Element), isInner: true).Map;
                    break;
                case "values" when kind == MapKind.ProgramArray:
                    valuesOffset = member.BitOffset / 8;
                    break;
                case "numa_node":
                    node = (int)Number(name, member);
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

        var map = new UntypedMap(kind, (int)keySize, (int)valueSize, EntriesFor(kind, entries), (MapFlags)flags, name)
        {
            Inner = inner, Extra = extra, PinnedByName = pinning == PinByName, NumaNode = node,
            Types = TakesTypes(kind) && (keyType | valueType) != 0 ? new MapTypes(btf, keyType, valueType) : null,
        };
        return new Description(map, valuesOffset);
    }

    /// <summary>Kinds whose values are not the author's own have no use for types, and the kernel refuses them.</summary>
    private static bool TakesTypes(MapKind kind) => kind is not (MapKind.PerfEventArray or MapKind.CgroupArray or MapKind.StackTrace
        or MapKind.ArrayOfMaps or MapKind.HashOfMaps or MapKind.DevMap or MapKind.DevMapHash or MapKind.CpuMap or MapKind.XskMap
        or MapKind.SockMap or MapKind.SockHash or MapKind.Queue or MapKind.Stack or MapKind.Arena);

    /// <summary>A number is the length of an array, or where that has too few bits the value of an enumerator (<c>__ulong</c>).</summary>
    private ulong Number(string map, BtfMember member)
    {
        var id = types.SkipModifiers(member.Type);
        if (types[id] is { Kind: BtfKind.Enum or BtfKind.Enum64, Count: 1 })
        {
            return (ulong)types.Enumerator(id, 0).Value;
        }

        id = types.SkipModifiers(Pointed(map, member.Type));
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
