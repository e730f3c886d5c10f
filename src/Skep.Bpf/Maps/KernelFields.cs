using System.Reflection;
using System.Runtime.CompilerServices;
using Skep.Bpf.Btf;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Maps;

/// <summary>
/// Parts of a map's value that are the kernel's: locks, timers, references. Nobody copies them: an update leaves them empty, and the process reads zeros.
/// </summary>
internal static class KernelFields
{
    private const BindingFlags Fields = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;

    /// <summary>Offset and size of each such part of the type, in bytes; empty for most types.</summary>
    internal static (int Offset, int Size)[] Of(Type type)
    {
        var found = new List<(int, int)>();
        Find(type, 0, found);
        return [.. found];
    }

    private static void Find(Type type, int at, List<(int Offset, int Size)> found)
    {
        if (type.IsPrimitive || type.IsEnum || type.IsPointer || type.IsFunctionPointer || !type.IsValueType || type == typeof(Int128) || type == typeof(UInt128))
        {
            return;
        }

        var size = RuntimeHelpers.SizeOf(type.TypeHandle);
        if (type.GetCustomAttribute<KernelStructAttribute>(false) is { IsValue: true }
            || (type.IsGenericType && type.GetGenericTypeDefinition() == typeof(KernelPointer<>)))
        {
            found.Add((at, size));
            return;
        }

        var fields = type.GetFields(Fields);
        Array.Sort(fields, static (a, b) => a.MetadataToken.CompareTo(b.MetadataToken));
        if (type.GetCustomAttribute<InlineArrayAttribute>() is { } array)
        {
            for (var i = 0; i < array.Length; i++)
            {
                Find(fields[0].FieldType, at + (i * (size / array.Length)), found);
            }
        }
        else if (BtfTypeWriter.OffsetsOf(type, fields, size) is { } offsets)
        {
            for (var i = 0; i < fields.Length; i++)
            {
                Find(fields[i].FieldType, at + offsets[i], found);
            }
        }
    }
}
