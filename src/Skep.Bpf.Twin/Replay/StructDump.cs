using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Twin.Replay;

/// <summary>
/// Keys and values as JSON: numbers, enum names, and objects of fields. A struct that overrides <see cref="object.ToString"/>
/// (an address, a number in network order) is its text; byte arrays are hexadecimal.
/// </summary>
internal static class StructDump
{
    private static readonly MemberCache<Type, Func<ReadOnlySpan<byte>, object>> s_readers = new(static t =>
        typeof(StructDump).GetMethod(nameof(Box), BindingFlags.NonPublic | BindingFlags.Static)!
            .MakeGenericMethod(t).CreateDelegate<Func<ReadOnlySpan<byte>, object>>());

    private static readonly MemberCache<Type, Func<object, JsonNode?>> s_dumpers = new(Build);

    /// <summary>The struct of type <paramref name="type"/> in <paramref name="bytes"/> as JSON.</summary>
    public static JsonNode? ToJson(Type type, ReadOnlySpan<byte> bytes) => Dumper(type)(Reader(type)(bytes));

    /// <summary>Bytes of a struct in memory.</summary>
    public static int SizeOf(Type type) => (int)typeof(Unsafe).GetMethod(nameof(Unsafe.SizeOf))!.MakeGenericMethod(type).Invoke(null, null)!;

    private static Func<ReadOnlySpan<byte>, object> Reader(Type type) => s_readers.Of(type);

    private static object Box<T>(ReadOnlySpan<byte> bytes)
        where T : unmanaged => MemoryMarshal.Read<T>(bytes);

    private static byte[] Unbox<T>(object value)
        where T : unmanaged => MemoryMarshal.AsBytes(new ReadOnlySpan<T>(ref Unsafe.Unbox<T>(value))).ToArray();

    private static Func<object, JsonNode?> Dumper(Type type) => s_dumpers.Of(type);

    private static Func<object, JsonNode?> Build(Type type)
    {
        if (type.IsEnum)
        {
            return value => value.ToString();
        }

        if (type.IsPrimitive)
        {
            return value => value switch
            {
                nint n => (long)n,
                nuint n => (ulong)n,
                char c => (int)c,
                _ => JsonSerializer.SerializeToNode(value, type),
            };
        }

        if (type.GetCustomAttribute<InlineArrayAttribute>() is { } inline)
        {
            return Elements(type, Fields(type)[0].FieldType, inline.Length);
        }

        return HasTextOfItsOwn(type) ? value => value.ToString() : Members(type);
    }

    /// <summary>Whether somebody wrote a ToString: not the one of <see cref="ValueType"/>, nor the one that records come with.</summary>
    private static bool HasTextOfItsOwn(Type type) =>
        type.GetMethod(nameof(ToString), Type.EmptyTypes) is { } method
        && method.DeclaringType == type
        && method.GetCustomAttribute<CompilerGeneratedAttribute>() is null;

    private static Func<object, JsonNode?> Members(Type type)
    {
        var fields = Fields(type).Select(f => (Field: f, Name: NameOf(f), Dump: DumperOf(f))).ToArray();
        return value =>
        {
            var members = new JsonObject();
            foreach (var (field, name, dump) in fields)
            {
                members[name] = dump(field.GetValue(value)!);
            }

            return members;
        };
    }

    private static Func<object, JsonNode?> DumperOf(FieldInfo field)
    {
        if (field.GetCustomAttribute<FixedBufferAttribute>() is { } buffer)
        {
            return Elements(field.FieldType, buffer.ElementType, buffer.Length);
        }

        return field.FieldType.IsPointer ? _ => "pointer" : Dumper(field.FieldType);
    }

    private static Func<object, JsonNode?> Elements(Type type, Type element, int count)
    {
        var unbox = typeof(StructDump).GetMethod(nameof(Unbox), BindingFlags.NonPublic | BindingFlags.Static)!
            .MakeGenericMethod(type).CreateDelegate<Func<object, byte[]>>();
        if (element == typeof(byte))
        {
            return value => Convert.ToHexStringLower(unbox(value));
        }

        return value =>
        {
            var bytes = unbox(value);
            var size = bytes.Length / count;
            var elements = new JsonArray();
            for (var i = 0; i < count; i++)
            {
                elements.Add(ToJson(element, bytes.AsSpan(i * size, size)));
            }

            return elements;
        };
    }

    private static FieldInfo[] Fields(Type type) => [.. type
        .GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic)
        .OrderBy(f => f.MetadataToken)];

    private static string NameOf(FieldInfo field)
    {
        var name = field.Name;
        if (name.StartsWith('<') && name.IndexOf('>') is > 1 and var close)
        {
            name = name[1..close];
        }

        name = name.TrimStart('_');
        return name.Length == 0 ? field.Name : char.ToLowerInvariant(name[0]) + name[1..];
    }
}
