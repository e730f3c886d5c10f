using Skep.Bpf.Btf;

namespace Skep.Bpf.Elf;

/// <summary>The way from a type to a field of it: names of members and indices of arrays, and where that ends.</summary>
internal sealed class FieldPath
{
    private readonly BtfFile _types;
    private readonly List<(string? Name, int Index)> _steps = [];
    private uint _type;
    private int _bitSize;

    private FieldPath(BtfFile types, uint type) => (_types, _type) = (types, type);

    /// <summary>Bits from the start of the type.</summary>
    internal long BitOffset { get; private set; }

    /// <summary>Whether it is a bit field, which is read by its own shifts.</summary>
    internal bool IsBitField => _bitSize != 0;

    /// <summary>As it would be written in C, after the object it begins with.</summary>
    internal string Name => string.Concat(_steps.Skip(1).Select((s, i) => s.Name is null ? $"[{s.Index}]" : i == 0 ? s.Name : "." + s.Name));

    /// <summary>Whether the field is a signed integer or enumeration.</summary>
    internal bool IsSigned => _types[End] switch
    {
        { Kind: BtfKind.Int } type => _types.Integer(type.Id).Signed,
        { Kind: BtfKind.Enum or BtfKind.Enum64 } type => type.KindFlag,
        _ => false,
    };

    /// <summary>Whether reading it at another size keeps its value: a pointer or an unsigned integer.</summary>
    internal bool IsWidenable => _types[End] switch
    {
        { Kind: BtfKind.Pointer } => true,
        { Kind: BtfKind.Int } type => !_types.Integer(type.Id).Signed && _bitSize == 0,
        _ => false,
    };

    private uint End => _types.SkipModifiers(_type);

    /// <summary>Follows the numbers of a relocation through the object's own types.</summary>
    /// <exception cref="InvalidDataException">They lead nowhere.</exception>
    internal static FieldPath Follow(BtfFile types, uint root, int[] access)
    {
        var path = new FieldPath(types, types.SkipModifiers(root));
        path._steps.Add((null, access[0]));
        path.BitOffset = checked(access[0] * 8L * types.SizeOf(root));
        foreach (var index in access.AsSpan(1))
        {
            var type = types[path.End];
            if (type.Kind is BtfKind.Struct or BtfKind.Union)
            {
                var members = index < type.Count ? types.Members(type.Id) : throw new InvalidDataException($"'{type.Name}' has no member {index}.");
                var member = members[index];
                path.Enter(member);
                if (member.Name.Length > 0)
                {
                    path._steps.Add((member.Name, 0));
                }
            }
            else if (type.Kind == BtfKind.Array)
            {
                path.EnterElement(index);
                path._steps.Add((null, index));
            }
            else
            {
                throw new InvalidDataException($"The path to a field goes on below {type.Kind} '{type.Name}'.");
            }
        }

        return path;
    }

    /// <summary>The same way through the kernel's types, or null when they have none.</summary>
    internal static FieldPath? Match(BtfFile types, FieldPath local, BtfFile kernel, uint candidate)
    {
        var path = new FieldPath(kernel, candidate) { BitOffset = local._steps[0].Index * 8L * kernel.SizeOf(candidate) };
        foreach (var (name, index) in local._steps.Skip(1))
        {
            var type = kernel[path.End];
            if (name is not null)
            {
                if (kernel.FindMemberOf(type.Id, name) is not { } member)
                {
                    return null;
                }

                path.Enter(member);
            }
            else if (type.Kind == BtfKind.Array && (index < kernel.ArrayShape(type.Id).Count || kernel.ArrayShape(type.Id).Count == 0))
            {
                path.EnterElement(index);
            }
            else
            {
                return null;
            }
        }

        return new TypeComparison(types, kernel).AreFieldsAlike(local._type, path._type) ? path : null;
    }

    /// <summary>The bytes that hold the field, and its width in bits; null when no word of 8 bytes holds it.</summary>
    internal (int Offset, int Size, int Bits)? Place()
    {
        var size = _types.SizeOf(_type);
        if (_bitSize == 0)
        {
            return (checked((int)(BitOffset / 8)), size, size * 8);
        }

        for (; size is >= 1 and <= 8; size *= 2)
        {
            var start = BitOffset / 8 / size * size;
            if (BitOffset + _bitSize <= (start + size) * 8)
            {
                return (checked((int)start), size, _bitSize);
            }
        }

        return null;
    }

    private void Enter(BtfMember member)
    {
        BitOffset += member.BitOffset;
        (_type, _bitSize) = (member.Type, member.BitSize);
    }

    private void EnterElement(int index)
    {
        (_type, _bitSize) = (_types.ArrayShape(End).Element, 0);
        BitOffset = checked(BitOffset + (index * 8L * _types.SizeOf(_type)));
    }
}
