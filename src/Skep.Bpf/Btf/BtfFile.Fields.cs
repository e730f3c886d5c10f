using System.Text;

namespace Skep.Bpf.Btf;

public sealed unsafe partial class BtfFile
{
    // Deep enough for any kernel struct; stops a cycle in damaged input.
    private const int DeepestNesting = 32;
    private const int MostAnonymous = 1024;

    /// <summary>Members of a struct or union in order.</summary>
    public IReadOnlyList<BtfMember> Members(uint id)
    {
        var type = this[id];
        if (type.Kind is not (BtfKind.Struct or BtfKind.Union))
        {
            throw new ArgumentException($"Type {id} ({type.Kind} '{type.Name}') has no members.", nameof(id));
        }

        var members = new BtfMember[type.Count];
        for (var i = 0; i < members.Length; i++)
        {
            var (name, memberType, bits, width) = RawMember(id, i, type.KindFlag);
            members[i] = new BtfMember(Text(name), memberType, bits, width);
        }

        return members;
    }

    /// <summary>
    /// Finds a field by its path below a struct, parts separated by dots, as <c>__sk_common.skc_daddr</c>.
    /// Anonymous structs and unions on the way are looked through, as in C.
    /// </summary>
    /// <returns>Where the field is, or null when the struct or the field does not exist.</returns>
    public BtfField? FindField(string structName, string path)
    {
        ArgumentNullException.ThrowIfNull(structName);
        ArgumentNullException.ThrowIfNull(path);
        return (Find(structName, BtfKind.Struct) ?? Find(structName, BtfKind.Union)) is { } type ? FindFieldOf(type, path) : null;
    }

    /// <summary>As <see cref="FindField"/>, below a struct or union given by its number.</summary>
    internal BtfField? FindFieldOf(uint type, string path)
    {
        var bits = 0;
        var field = default(BtfMember);
        foreach (var part in path.Split('.'))
        {
            if (FindMember(SkipModifiers(type), Encoding.UTF8.GetBytes(part), []) is not { } member)
            {
                return null;
            }

            bits = Fit((long)bits + member.BitOffset);
            (type, field) = (member.Type, member);
        }

        if (field.BitSize == 0)
        {
            return new BtfField(bits / 8, SizeOf(type), type);
        }

        // A bit field is read through the smallest aligned word that holds all of it.
        for (var size = 1; size <= 8; size *= 2)
        {
            var start = bits / (size * 8) * size;
            if (bits + field.BitSize <= (start + size) * 8)
            {
                return new BtfField(start, size, type, bits - (start * 8), field.BitSize);
            }
        }

        return null;
    }

    /// <summary>Names and values of an enumeration, in order; empty when there is none of that name.</summary>
    public IReadOnlyList<BtfEnumerator> Enumerators(string enumName)
    {
        if ((Find(enumName, BtfKind.Enum) ?? Find(enumName, BtfKind.Enum64)) is not { } id)
        {
            return [];
        }

        var type = this[id];
        var values = new BtfEnumerator[type.Count];
        var at = Record(id) + 3;
        for (var i = 0; i < values.Length; i++)
        {
            var low = at[1];
            long value = type.Kind == BtfKind.Enum64 ? (long)(low | ((ulong)at[2] << 32)) : type.KindFlag ? (int)low : low;
            values[i] = new BtfEnumerator(Text(at[0]), value);
            at += type.Kind == BtfKind.Enum64 ? 3 : 2;
        }

        return values;
    }

    /// <summary>Size of a type in bytes; pointers have that of this machine, functions and void have 0.</summary>
    public int SizeOf(uint id)
    {
        var elements = 1L;
        for (var depth = 0; depth < DeepestNesting; depth++)
        {
            id = SkipModifiers(id);
            var type = this[id];
            if (type.Kind != BtfKind.Array)
            {
                return Fit(elements * type.Kind switch
                {
                    BtfKind.Int or BtfKind.Struct or BtfKind.Union or BtfKind.Enum or BtfKind.Enum64 or BtfKind.Float
                        or BtfKind.DataSection => type.SizeOrType,
                    BtfKind.Pointer => (uint)sizeof(nint),
                    _ => 0,
                });
            }

            // struct btf_array: element type, index type, number of elements
            var array = Record(id) + 3;
            elements = Fit(elements * array[2]);
            id = array[0];
        }

        throw new InvalidDataException($"The type {id} of the BTF contains itself.");
    }

    /// <summary>The type under typedefs, qualifiers and tags.</summary>
    public uint SkipModifiers(uint id)
    {
        for (var depth = 0; id != 0 && depth < DeepestNesting; depth++)
        {
            var record = Record(id);
            if (KindOf(record[1]) is not (BtfKind.Typedef or BtfKind.Volatile or BtfKind.Const or BtfKind.Restrict or BtfKind.TypeTag))
            {
                return id;
            }

            id = record[2];
        }

        return id;
    }

    // Structs that were visited do not have the member, and damaged input may contain them again and again.
    private BtfMember? FindMember(uint id, ReadOnlySpan<byte> name, HashSet<uint> visited)
    {
        if (id == 0 || visited.Count == MostAnonymous || !visited.Add(id))
        {
            return null;
        }

        var type = this[id];
        if (type.Kind is not (BtfKind.Struct or BtfKind.Union))
        {
            return null;
        }

        for (var i = 0; i < type.Count; i++)
        {
            var (nameOffset, memberType, bits, width) = RawMember(id, i, type.KindFlag);
            if (NameIs(nameOffset, name))
            {
                return new BtfMember(Text(nameOffset), memberType, bits, width);
            }

            if (NameIs(nameOffset, default) && FindMember(SkipModifiers(memberType), name, visited) is { } inner)
            {
                return inner with { BitOffset = Fit((long)bits + inner.BitOffset) };
            }
        }

        return null;
    }

    private (uint Name, uint Type, int Bits, int Width) RawMember(uint id, int index, bool hasBitFields)
    {
        // struct btf_member: name, type, offset in bits; with the kind flag the upper byte of the offset is the width of a bit field
        var member = Record(id) + 3 + (index * 3);
        var offset = member[2];
        return hasBitFields ? (member[0], member[1], (int)(offset & 0xffffff), (int)(offset >> 24)) : (member[0], member[1], Fit(offset), 0);
    }

    private static int Fit(long value) =>
        value <= int.MaxValue ? (int)value : throw new InvalidDataException($"The BTF has a size or offset of {value}.");

    private bool NameIs(uint offset, ReadOnlySpan<byte> name) =>
        TryStringAt(offset, out var tail) && tail.Length > name.Length && tail[name.Length] == 0 && tail.StartsWith(name);
}
