using System.Globalization;
using System.Text;

namespace Skep.Bpf.Btf;

/// <summary>Types as text: the name C has for one, and a line for each as <c>bpftool btf dump</c> writes it.</summary>
public static class BtfText
{
    private const int DeepestNesting = 32;

    /// <summary>The name of the type as C would write it in front of a variable.</summary>
    /// <exception cref="InvalidDataException">The type is damaged.</exception>
    public static string NameOf(BtfFile types, uint type)
    {
        ArgumentNullException.ThrowIfNull(types);
        return Name(types, type, 0);
    }

    /// <summary>One type: its number, kind, name and what it is made of; members and enumerators on lines of their own.</summary>
    /// <exception cref="InvalidDataException">The type is damaged.</exception>
    public static string Describe(BtfFile types, uint id)
    {
        ArgumentNullException.ThrowIfNull(types);
        var type = types[id];
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"[{id}] {KindName(type)} '{(type.Name.Length == 0 ? "(anon)" : type.Name)}'");
        switch (type.Kind)
        {
            case BtfKind.Int:
                var integer = types.Integer(id);
                text.Append(CultureInfo.InvariantCulture, $" size={type.SizeOrType} nr_bits={integer.Bits} encoding={(integer.Signed ? "SIGNED" : "(none)")}");
                break;
            case BtfKind.Array:
                var (element, count) = types.ArrayShape(id);
                text.Append(CultureInfo.InvariantCulture, $" type_id={element} nr_elems={count}");
                break;
            case BtfKind.Struct or BtfKind.Union:
                text.Append(CultureInfo.InvariantCulture, $" size={type.SizeOrType} vlen={type.Count}");
                foreach (var member in types.Members(id))
                {
                    text.Append(CultureInfo.InvariantCulture, $"\n\t'{(member.Name.Length == 0 ? "(anon)" : member.Name)}' type_id={member.Type} bits_offset={member.BitOffset}");
                    if (member.BitSize != 0)
                    {
                        text.Append(CultureInfo.InvariantCulture, $" bitfield_size={member.BitSize}");
                    }
                }

                break;
            case BtfKind.Enum or BtfKind.Enum64:
                text.Append(CultureInfo.InvariantCulture, $" encoding={(type.KindFlag ? "SIGNED" : "UNSIGNED")} size={type.SizeOrType} vlen={type.Count}");
                for (var i = 0; i < type.Count; i++)
                {
                    var enumerator = types.Enumerator(id, i);
                    text.Append(CultureInfo.InvariantCulture, $"\n\t'{enumerator.Name}' val={enumerator.Value}");
                }

                break;
            case BtfKind.Function:
                text.Append(CultureInfo.InvariantCulture, $" type_id={type.SizeOrType} linkage={type.Count switch { 0 => "static", 1 => "global", _ => "extern" }}");
                break;
            case BtfKind.FunctionPrototype:
                text.Append(CultureInfo.InvariantCulture, $" ret_type_id={type.SizeOrType} vlen={type.Count}");
                break;
            case BtfKind.Forward:
                text.Append(type.KindFlag ? " fwd_kind=union" : " fwd_kind=struct");
                break;
            case BtfKind.DataSection:
                text.Append(CultureInfo.InvariantCulture, $" size={type.SizeOrType} vlen={type.Count}");
                break;
            case BtfKind.Float:
                text.Append(CultureInfo.InvariantCulture, $" size={type.SizeOrType}");
                break;
            default:
                text.Append(CultureInfo.InvariantCulture, $" type_id={type.SizeOrType}");
                break;
        }

        return text.ToString();
    }

    /// <summary>Name of the kind, as the kernel's documentation has it.</summary>
    public static string KindName(BtfType type) => type.Kind switch
    {
        BtfKind.Int => "INT",
        BtfKind.Pointer => "PTR",
        BtfKind.Array => "ARRAY",
        BtfKind.Struct => "STRUCT",
        BtfKind.Union => "UNION",
        BtfKind.Enum => "ENUM",
        BtfKind.Forward => "FWD",
        BtfKind.Typedef => "TYPEDEF",
        BtfKind.Volatile => "VOLATILE",
        BtfKind.Const => "CONST",
        BtfKind.Restrict => "RESTRICT",
        BtfKind.Function => "FUNC",
        BtfKind.FunctionPrototype => "FUNC_PROTO",
        BtfKind.Variable => "VAR",
        BtfKind.DataSection => "DATASEC",
        BtfKind.Float => "FLOAT",
        BtfKind.DeclarationTag => "DECL_TAG",
        BtfKind.TypeTag => "TYPE_TAG",
        BtfKind.Enum64 => "ENUM64",
        _ => "UNKN",
    };

    private static string Name(BtfFile types, uint id, int depth)
    {
        var type = types[id];
        if (depth > DeepestNesting)
        {
            throw new InvalidDataException($"Type {id} of the BTF contains itself.");
        }

        return type.Kind switch
        {
            BtfKind.Pointer => Name(types, type.SizeOrType, depth + 1) + " *",
            BtfKind.Const => "const " + Name(types, type.SizeOrType, depth + 1),
            BtfKind.Volatile => "volatile " + Name(types, type.SizeOrType, depth + 1),
            BtfKind.Restrict or BtfKind.TypeTag => Name(types, type.SizeOrType, depth + 1),
            BtfKind.Array => string.Create(CultureInfo.InvariantCulture, $"{Name(types, types.ArrayShape(id).Element, depth + 1)}[{types.ArrayShape(id).Count}]"),
            BtfKind.Struct or BtfKind.Forward when !(type.Kind == BtfKind.Forward && type.KindFlag) => "struct " + Anonymous(type.Name),
            BtfKind.Union or BtfKind.Forward => "union " + Anonymous(type.Name),
            BtfKind.Enum or BtfKind.Enum64 => "enum " + Anonymous(type.Name),
            BtfKind.FunctionPrototype => "function",
            _ => type.Name,
        };
    }

    private static string Anonymous(string name) => name.Length == 0 ? "{...}" : name;
}
