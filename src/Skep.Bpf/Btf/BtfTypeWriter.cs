using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Btf;

/// <summary>
/// Says unmanaged C# types in BTF, with the layout they have in memory: structs with their fields, enums with their names, inline arrays and
/// fixed buffers as arrays. A struct marked with <see cref="KernelStructAttribute"/> keeps the kernel's name.
/// </summary>
internal sealed class BtfTypeWriter
{
    private const BindingFlags Fields = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;

    private readonly BtfBuilder _builder = new();
    private readonly Dictionary<Type, uint> _ids = [];
    private uint _index;

    /// <summary>Adds a type, once; gives its number.</summary>
    internal uint Add(Type type)
    {
        if (!_ids.TryGetValue(type, out var id))
        {
            id = Write(type);
            _ids.Add(type, id);
        }

        return id;
    }

    /// <summary>Adds an array of a type; gives its number.</summary>
    internal uint AddArray(Type element, uint count) => _builder.AddArray(Add(element), Index, count);

    internal byte[] Build() => _builder.Build();

    private uint Write(Type type)
    {
        if (type.IsPointer || type.IsFunctionPointer)
        {
            return _builder.AddPointer(0);
        }

        if (type.IsEnum)
        {
            return WriteEnum(type);
        }

        return Type.GetTypeCode(type) switch
        {
            TypeCode.Boolean => _builder.AddInt("bool", 1, signed: false),
            TypeCode.Byte => _builder.AddInt("unsigned char", 1, signed: false),
            TypeCode.SByte => _builder.AddInt("signed char", 1, signed: true),
            TypeCode.Char or TypeCode.UInt16 => _builder.AddInt("unsigned short", 2, signed: false),
            TypeCode.Int16 => _builder.AddInt("short", 2, signed: true),
            TypeCode.UInt32 => _builder.AddInt("unsigned int", 4, signed: false),
            TypeCode.Int32 => _builder.AddInt("int", 4, signed: true),
            TypeCode.UInt64 => _builder.AddInt("unsigned long long", 8, signed: false),
            TypeCode.Int64 => _builder.AddInt("long long", 8, signed: true),
            TypeCode.Single => _builder.AddFloat("float", 4),
            TypeCode.Double => _builder.AddFloat("double", 8),
            _ => type == typeof(nuint) ? _builder.AddInt("unsigned long", 8, signed: false)
                : type == typeof(nint) ? _builder.AddInt("long", 8, signed: true)
                : type == typeof(UInt128) ? _builder.AddInt("unsigned __int128", 16, signed: false)
                : type == typeof(Int128) ? _builder.AddInt("__int128", 16, signed: true)
                : WriteStruct(type),
        };
    }

    private uint WriteEnum(Type type)
    {
        var names = Enum.GetNames(type);
        var values = Enum.GetValuesAsUnderlyingType(type);
        var size = Marshal.SizeOf(Enum.GetUnderlyingType(type));
        var underlying = Enum.GetUnderlyingType(type);
        if (size == 8 || names.Length == 0 || names.Length > 0xffff)
        {
            // Enum64 is newer (6.0) than the kernels we support: a number says enough.
            return Add(underlying);
        }

        var entries = new (string, int)[names.Length];
        for (var i = 0; i < entries.Length; i++)
        {
            entries[i] = (Identifier(names[i]), unchecked((int)Convert.ToInt64(values.GetValue(i), System.Globalization.CultureInfo.InvariantCulture)));
        }

        return _builder.AddEnum(Identifier(type.Name), size, entries);
    }

    private uint WriteStruct(Type type)
    {
        if (type.IsGenericType && type.GetGenericTypeDefinition() == typeof(KernelPointer<>) && type.GetGenericArguments()[0].GetCustomAttribute<KernelStructAttribute>() is { } target)
        {
            // The kernel looks for the struct by its name among its own; of ours it wants no members.
            return _builder.AddPointer(_builder.AddTypeTag("kptr", _builder.AddStruct(target.Name, 0)));
        }

        var size = RuntimeHelpers.SizeOf(type.TypeHandle);
        var fields = type.GetFields(Fields);
        Array.Sort(fields, static (a, b) => a.MetadataToken.CompareTo(b.MetadataToken));
        if (type.GetCustomAttribute<InlineArrayAttribute>() is { } inline)
        {
            return _builder.AddArray(Add(fields[0].FieldType), Index, (uint)inline.Length);
        }

        if (OffsetsOf(type, fields, size) is not { } offsets)
        {
            // A layout that the runtime chose (automatic) has no promise to keep: bytes.
            return _builder.AddArray(Add(typeof(byte)), Index, (uint)size);
        }

        var members = new (string Name, uint Type, uint BitOffset)[fields.Length];
        for (var i = 0; i < fields.Length; i++)
        {
            members[i] = (Identifier(fields[i].Name), FieldType(fields[i]), (uint)offsets[i] * 8);
        }

        // The kernel wants members in order of their offsets (btf_struct_check_meta).
        Array.Sort(offsets, members);
        var name = type.GetCustomAttribute<KernelStructAttribute>()?.Name ?? Identifier(type.Name);
        return _builder.AddStruct(name, size, members);
    }

    private uint FieldType(FieldInfo field) => field.GetCustomAttribute<FixedBufferAttribute>() is { } buffer
        ? _builder.AddArray(Add(buffer.ElementType), Index, (uint)buffer.Length)
        : Add(field.FieldType);

    private uint Index => _index == 0 ? _index = Add(typeof(uint)) : _index;

    /// <summary>Offsets of the fields; null when they do not add up to the size the runtime gives the struct.</summary>
    internal static int[]? OffsetsOf(Type type, FieldInfo[] fields, int size)
    {
        var attribute = type.StructLayoutAttribute!;
        var pack = attribute.Pack is 0 ? 8 : attribute.Pack;
        var offsets = new int[fields.Length];
        int end = 0, alignment = 1;
        for (var i = 0; i < fields.Length; i++)
        {
            var fieldAlignment = Math.Min(AlignmentOf(fields[i].FieldType), pack);
            offsets[i] = attribute.Value == LayoutKind.Explicit
                ? fields[i].GetCustomAttribute<FieldOffsetAttribute>()!.Value
                : (end + fieldAlignment - 1) & -fieldAlignment;
            end = Math.Max(end, offsets[i] + RuntimeHelpers.SizeOf(fields[i].FieldType.TypeHandle));
            alignment = Math.Max(alignment, fieldAlignment);
        }

        end = Math.Max(end, attribute.Size);
        var total = Math.Max(1, (end + alignment - 1) & -alignment);
        return attribute.Value != LayoutKind.Auto && total == size ? offsets : null;
    }

    private static int AlignmentOf(Type type)
    {
        if (type.IsPrimitive || type.IsPointer || type.IsEnum || type.IsFunctionPointer)
        {
            return RuntimeHelpers.SizeOf(type.TypeHandle);
        }

        if (type == typeof(UInt128) || type == typeof(Int128))
        {
            return 16;
        }

        var pack = type.StructLayoutAttribute!.Pack is var p and not 0 ? p : 8;
        return type.GetFields(Fields).Select(f => Math.Min(AlignmentOf(f.FieldType), pack)).DefaultIfEmpty(1).Max();
    }

    /// <summary>A C identifier: of an automatic property's field the property's name.</summary>
    private static string Identifier(string name)
    {
        if (name.StartsWith('<') && name.IndexOf('>') is > 1 and var close)
        {
            name = name[1..close];
        }

        var characters = name.Select(c => char.IsAsciiLetterOrDigit(c) ? c : '_').ToArray();
        return characters is [] || char.IsAsciiDigit(characters[0]) ? "_" + new string(characters) : new string(characters);
    }
}
