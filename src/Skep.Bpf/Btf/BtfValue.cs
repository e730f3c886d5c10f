using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.Json.Nodes;

namespace Skep.Bpf.Btf;

/// <summary>
/// Values as their types say: bytes to JSON and back. Integers are numbers, enums their names, characters a text where they are one, structs
/// objects, arrays lists; what a type does not explain is hexadecimal text.
/// </summary>
public static class BtfValue
{
    private const int DeepestNesting = 32, MostElements = 1 << 16;

    /// <summary>The value of that type in the bytes.</summary>
    /// <exception cref="InvalidDataException">The type is damaged, or the bytes are fewer than it has.</exception>
    public static JsonNode? ToJson(BtfFile types, uint type, ReadOnlySpan<byte> bytes)
    {
        ArgumentNullException.ThrowIfNull(types);
        return Read(types, type, bytes, 0);
    }

    /// <summary>Writes a value of that type into the bytes, which are as many as it has. Members of a struct that are not named are zero.</summary>
    /// <exception cref="FormatException">The value does not fit the type; the message says where.</exception>
    /// <exception cref="InvalidDataException">The type is damaged.</exception>
    public static void FromJson(BtfFile types, uint type, JsonNode? value, Span<byte> bytes)
    {
        ArgumentNullException.ThrowIfNull(types);
        bytes.Clear();
        Write(types, type, value, bytes, "value", 0);
    }

    private static JsonNode? Read(BtfFile types, uint type, ReadOnlySpan<byte> bytes, int depth)
    {
        var id = types.SkipModifiers(type);
        var size = types.SizeOf(id);
        if (size > bytes.Length || depth > DeepestNesting)
        {
            throw new InvalidDataException($"Type {type} needs {size} bytes where {bytes.Length} are.");
        }

        bytes = bytes[..size];
        var of = types[id];
        switch (of.Kind)
        {
            case BtfKind.Int:
                return Integer(types, id, bytes);
            case BtfKind.Enum or BtfKind.Enum64:
                return EnumName(types, of, bytes) is { } name ? JsonValue.Create(name) : Number(bytes, of.KindFlag);
            case BtfKind.Pointer:
                return JsonValue.Create(string.Create(CultureInfo.InvariantCulture, $"0x{BinaryPrimitives.ReadUInt64LittleEndian(bytes):x}"));
            case BtfKind.Float:
                return size == 4 ? JsonValue.Create(FloatText(BitConverter.ToSingle(bytes))) : size == 8 ? JsonValue.Create(FloatText(BitConverter.ToDouble(bytes))) : Hexadecimal(bytes);
            case BtfKind.Array:
                return Array(types, id, bytes, depth);
            case BtfKind.Struct or BtfKind.Union:
                return Members(types, id, bytes, depth);
            default:
                return Hexadecimal(bytes);
        }
    }

    // JSON knows no infinity and no not-a-number.
    private static JsonNode FloatText(double value) => double.IsFinite(value) ? JsonValue.Create(value) : JsonValue.Create(value.ToString(CultureInfo.InvariantCulture));

    private static JsonNode Integer(BtfFile types, uint id, ReadOnlySpan<byte> bytes)
    {
        var signed = types.Integer(id).Signed;
        return types[id].Name is "bool" or "_Bool" && bytes.Length == 1 && bytes[0] <= 1 ? JsonValue.Create(bytes[0] == 1) : Number(bytes, signed);
    }

    private static JsonNode Number(ReadOnlySpan<byte> bytes, bool signed) => bytes.Length switch
    {
        1 => signed ? JsonValue.Create((sbyte)bytes[0]) : JsonValue.Create(bytes[0]),
        2 => signed ? JsonValue.Create(BinaryPrimitives.ReadInt16LittleEndian(bytes)) : JsonValue.Create(BinaryPrimitives.ReadUInt16LittleEndian(bytes)),
        4 => signed ? JsonValue.Create(BinaryPrimitives.ReadInt32LittleEndian(bytes)) : JsonValue.Create(BinaryPrimitives.ReadUInt32LittleEndian(bytes)),
        8 => signed ? JsonValue.Create(BinaryPrimitives.ReadInt64LittleEndian(bytes)) : JsonValue.Create(BinaryPrimitives.ReadUInt64LittleEndian(bytes)),
        _ => Hexadecimal(bytes),
    };

    private static JsonNode Hexadecimal(ReadOnlySpan<byte> bytes) => JsonValue.Create("0x" + Convert.ToHexStringLower(bytes));

    private static string? EnumName(BtfFile types, BtfType of, ReadOnlySpan<byte> bytes)
    {
        var value = Raw(bytes, of.KindFlag);
        for (var i = 0; i < of.Count; i++)
        {
            var enumerator = types.Enumerator(of.Id, i);
            if (enumerator.Value == value)
            {
                return enumerator.Name;
            }
        }

        return null;
    }

    private static long Raw(ReadOnlySpan<byte> bytes, bool signed) => bytes.Length switch
    {
        1 => signed ? (sbyte)bytes[0] : bytes[0],
        2 => signed ? BinaryPrimitives.ReadInt16LittleEndian(bytes) : BinaryPrimitives.ReadUInt16LittleEndian(bytes),
        4 => signed ? BinaryPrimitives.ReadInt32LittleEndian(bytes) : BinaryPrimitives.ReadUInt32LittleEndian(bytes),
        _ => BinaryPrimitives.ReadInt64LittleEndian(bytes),
    };

    private static JsonNode Array(BtfFile types, uint id, ReadOnlySpan<byte> bytes, int depth)
    {
        var (element, count) = types.ArrayShape(id);
        var size = types.SizeOf(element);
        if (types[types.SkipModifiers(element)] is { Kind: BtfKind.Int, Name: "char", SizeOrType: 1 } && AsText(bytes) is { } text)
        {
            return JsonValue.Create(text);
        }

        if (size == 0 || count > MostElements)
        {
            return Hexadecimal(bytes);
        }

        var result = new JsonArray();
        for (var i = 0; i < count; i++)
        {
            result.Add(Read(types, element, bytes.Slice(i * size, size), depth + 1));
        }

        return result;
    }

    /// <summary>Characters up to the first NUL, when they are printable and nothing but zeros follows.</summary>
    private static string? AsText(ReadOnlySpan<byte> bytes)
    {
        var end = bytes.IndexOf((byte)0);
        var text = end < 0 ? bytes : bytes[..end];
        return text.Length > 0 && !text.ContainsAnyExceptInRange((byte)0x20, (byte)0x7e) && (end < 0 || !bytes[end..].ContainsAnyExcept((byte)0)) ? Encoding.ASCII.GetString(text) : null;
    }

    private static JsonObject Members(BtfFile types, uint id, ReadOnlySpan<byte> bytes, int depth)
    {
        var result = new JsonObject();
        var unnamed = 0;
        foreach (var member in types.Members(id))
        {
            var name = member.Name.Length > 0 && !result.ContainsKey(member.Name) ? member.Name : string.Create(CultureInfo.InvariantCulture, $"{member.Name}(anon{unnamed++})");
            result[name] = member.BitSize != 0
                ? BitField(types, member, bytes)
                : Read(types, member.Type, bytes[Math.Min(member.BitOffset / 8, bytes.Length)..], depth + 1);
        }

        return result;
    }

    private static JsonNode BitField(BtfFile types, BtfMember member, ReadOnlySpan<byte> bytes)
    {
        UInt128 word = 0;
        var last = (member.BitOffset + member.BitSize + 7) / 8;
        for (var i = member.BitOffset / 8; i < last && i < bytes.Length; i++)
        {
            word |= (UInt128)bytes[i] << ((i - (member.BitOffset / 8)) * 8);
        }

        var value = (ulong)((word >> (member.BitOffset % 8)) & ((UInt128.One << member.BitSize) - 1));
        var id = types.SkipModifiers(member.Type);
        var signed = types[id].Kind == BtfKind.Int && types.Integer(id).Signed;
        return signed && member.BitSize < 64 && (value >> (member.BitSize - 1)) != 0
            ? JsonValue.Create((long)(value | (ulong.MaxValue << member.BitSize)))
            : JsonValue.Create(value);
    }

    private static void Write(BtfFile types, uint type, JsonNode? value, Span<byte> bytes, string path, int depth)
    {
        var id = types.SkipModifiers(type);
        var size = types.SizeOf(id);
        if (size > bytes.Length || depth > DeepestNesting)
        {
            throw new InvalidDataException($"Type {type} needs {size} bytes where {bytes.Length} are.");
        }

        bytes = bytes[..size];
        var of = types[id];
        switch (of.Kind)
        {
            case BtfKind.Struct or BtfKind.Union:
                WriteMembers(types, of, value, bytes, path, depth);
                break;
            case BtfKind.Array:
                WriteArray(types, of, value, bytes, path, depth);
                break;
            case BtfKind.Enum or BtfKind.Enum64 when value is JsonValue v && v.TryGetValue<string>(out var name) && !char.IsAsciiDigit(name.FirstOrDefault()) && !name.StartsWith('-'):
                var found = Enumerable.Range(0, of.Count).Select(i => types.Enumerator(id, i)).Where(e => e.Name == name).Cast<BtfEnumerator?>().FirstOrDefault()
                    ?? throw new FormatException($"{path}: '{name}' is no name of enum {of.Name}.");
                WriteInteger(found.Value, bytes, path, signed: true);
                break;
            case BtfKind.Float when value is JsonValue v && v.TryGetValue<double>(out var number) && size is 4 or 8:
                if (size == 4)
                {
                    BitConverter.TryWriteBytes(bytes, (float)number);
                }
                else
                {
                    BitConverter.TryWriteBytes(bytes, number);
                }

                break;
            default:
                WriteInteger(IntegerOf(value, path), bytes, path, of.Kind == BtfKind.Int && types.Integer(id).Signed);
                break;
        }
    }

    private static void WriteMembers(BtfFile types, BtfType of, JsonNode? value, Span<byte> bytes, string path, int depth)
    {
        if (value is not JsonObject members)
        {
            throw new FormatException($"{path}: {(of.Kind == BtfKind.Struct ? "struct" : "union")} {of.Name} is written as {{\"member\": value, ...}}.");
        }

        var known = types.Members(of.Id);
        foreach (var (name, inner) in members)
        {
            var member = known.Where(m => m.Name == name).Cast<BtfMember?>().FirstOrDefault()
                ?? throw new FormatException($"{path}: there is no member '{name}'; there are {string.Join(", ", known.Select(m => m.Name))}.");
            if (member.BitSize != 0)
            {
                throw new FormatException($"{path}.{name} is a bit field; give the whole value in hexadecimal.");
            }

            Write(types, member.Type, inner, bytes[(member.BitOffset / 8)..], $"{path}.{name}", depth + 1);
        }
    }

    private static void WriteArray(BtfFile types, BtfType of, JsonNode? value, Span<byte> bytes, string path, int depth)
    {
        var (element, count) = types.ArrayShape(of.Id);
        if (value is JsonValue text && text.TryGetValue<string>(out var characters) && types.SizeOf(element) == 1)
        {
            var encoded = Encoding.UTF8.GetBytes(characters);
            if (encoded.Length > bytes.Length)
            {
                throw new FormatException($"{path}: the text has {encoded.Length} bytes, the array {bytes.Length}.");
            }

            encoded.CopyTo(bytes);
            return;
        }

        if (value is not JsonArray elements || elements.Count > count)
        {
            throw new FormatException($"{path}: an array of at most {count} elements is written as [value, ...].");
        }

        var size = types.SizeOf(element);
        for (var i = 0; i < elements.Count; i++)
        {
            Write(types, element, elements[i], bytes.Slice(i * size, size), string.Create(CultureInfo.InvariantCulture, $"{path}[{i}]"), depth + 1);
        }
    }

    private static BigInteger IntegerOf(JsonNode? value, string path)
    {
        var text = value is JsonValue v ? v.TryGetValue<string>(out var s) ? s : v.ToJsonString() : "";
        if (text is "true" or "false")
        {
            return text == "true" ? 1 : 0;
        }

        var parsed = text.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
            ? BigInteger.TryParse("0" + text[2..], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var number)
            : BigInteger.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out number);
        return parsed ? number : throw new FormatException($"{path}: a whole number is needed, not {(text.Length == 0 ? "that" : text)}.");
    }

    private static void WriteInteger(BigInteger number, Span<byte> bytes, string path, bool signed)
    {
        var bits = bytes.Length * 8;
        if (number < -(BigInteger.One << (bits - 1)) || number >= BigInteger.One << bits || (number < 0 && !signed))
        {
            throw new FormatException($"{path}: {number} does not fit {bytes.Length} bytes{(number < 0 && !signed ? ", which are unsigned" : "")}.");
        }

        var two = number < 0 ? number + (BigInteger.One << bits) : number;
        two.TryWriteBytes(bytes, out _, isUnsigned: true);
    }
}
