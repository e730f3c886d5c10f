using System.Buffers.Binary;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Skep.Bpf.Compiler.Ir;

/// <summary>
/// Bytes that never change: a literal such as <c>"GET "u8</c>, a table in a <c>ReadOnlySpan</c>, a frozen array of values.
/// Reads at constant places become constants; what is left of the tables at the end goes into one map that only the compiler writes.
/// </summary>
internal sealed class ConstantTable
{
    private static readonly ConditionalWeakTable<object, ConstantTable> s_tables = [];

    private ConstantTable(byte[] bytes) => Bytes = bytes;

    public byte[] Bytes { get; }

    /// <summary>The data of a field that the C# compiler laid out in the image.</summary>
    public static ConstantTable OfStatic(FieldInfo field) => s_tables.GetValue(field, static f =>
    {
        var type = ((FieldInfo)f).FieldType;
        return new ConstantTable(OfBox(((FieldInfo)f).GetValue(null)!, type.StructLayoutAttribute is { Size: > 0 and var size } ? size : Marshal.SizeOf(type)));
    });

    /// <summary>The elements of an array of unmanaged values.</summary>
    public static ConstantTable OfArray(Array array) => s_tables.GetValue(array, static a =>
    {
        var values = (Array)a;
        var size = Frontend.TypeLayout.SizeOf(values.GetType().GetElementType()!);

        // SAFETY: the elements lie one after the other; their size was computed from the same layout.
        return new ConstantTable(MemoryMarshal.CreateReadOnlySpan(ref MemoryMarshal.GetArrayDataReference(values), values.Length * size).ToArray());
    });

    /// <summary>The bytes of a boxed unmanaged struct.</summary>
    public static ConstantTable OfStruct(object box) => new(OfBox(box, Frontend.TypeLayout.SizeOf(box.GetType())));

    /// <summary>A number in the table, or null when it does not lie inside.</summary>
    public long? Read(long offset, int size)
    {
        if (offset < 0 || offset + size > Bytes.Length)
        {
            return null;
        }

        var at = Bytes.AsSpan((int)offset);
        return size switch
        {
            1 => at[0],
            2 => BinaryPrimitives.ReadUInt16LittleEndian(at),
            4 => BinaryPrimitives.ReadUInt32LittleEndian(at),
            _ => BinaryPrimitives.ReadInt64LittleEndian(at),
        };
    }

    public override string ToString() => $"table of {Bytes.Length} bytes";

    // SAFETY: the object is a box of an unmanaged struct of that many bytes, whose first field stands where RawBox.First does.
    private static byte[] OfBox(object box, int size) =>
        MemoryMarshal.CreateReadOnlySpan(ref Unsafe.As<RawBox>(box).First, size).ToArray();

    /// <summary>The shape of a box: an object header, then the bytes of the struct.</summary>
    private sealed class RawBox
    {
#pragma warning disable CS0649 // written by the runtime, as part of the box
        public byte First;
#pragma warning restore CS0649
    }
}
