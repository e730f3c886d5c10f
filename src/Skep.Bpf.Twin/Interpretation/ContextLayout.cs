using System.Reflection;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Twin.Interpretation;

/// <summary>
/// The fields of a program's context as bytecode sees them: read from the <see cref="ContextFieldAttribute"/>s of the type that C# programs use,
/// so that both know the same ones. Packet pointers are four bytes wide in the kernel's struct, and a load of one gives a whole pointer.
/// </summary>
/// <typeparam name="T">The context type.</typeparam>
internal static unsafe class ContextLayout<T>
    where T : struct
{
    private delegate byte* GetPointer(ref T context);

    private delegate uint GetNumber(ref T context);

    private delegate void SetNumber(ref T context, uint value);

    private static readonly Field[] s_fields =
    [
        .. typeof(T).GetProperties()
            .Where(property => property.GetMethod?.GetCustomAttribute<ContextFieldAttribute>() is not null)
            .Select(property => new Field(property)),
    ];

    /// <summary>Loads from the context. A part of a number may be loaded; a pointer only as a whole.</summary>
    public static bool TryLoad(ref T context, long offset, int size, out ulong value)
    {
        foreach (var field in s_fields)
        {
            if (field.Pointer is { } pointer && offset == field.Offset && size == field.Size)
            {
                value = (ulong)pointer(ref context);
                return true;
            }

            if (field.Number is { } number && offset >= field.Offset && offset + size <= field.Offset + field.Size)
            {
                value = number(ref context) >> (int)(8 * (offset - field.Offset)) & (uint)(ulong.MaxValue >> (64 - (8 * size)));
                return true;
            }
        }

        value = 0;
        return false;
    }

    /// <summary>Stores into a field that programs may change, as a whole.</summary>
    public static bool TryStore(ref T context, long offset, int size, ulong value)
    {
        foreach (var field in s_fields)
        {
            if (field.Set is { } set && offset == field.Offset && size == field.Size)
            {
                set(ref context, (uint)value);
                return true;
            }
        }

        return false;
    }

    private sealed class Field
    {
        public Field(PropertyInfo property)
        {
            var attribute = property.GetMethod!.GetCustomAttribute<ContextFieldAttribute>()!;
            Offset = attribute.Offset;
            Size = attribute.Size;
            if (attribute.Value == ContextValue.Scalar)
            {
                Number = property.GetMethod!.CreateDelegate<GetNumber>();
                Set = property.SetMethod?.GetCustomAttribute<ContextFieldAttribute>() is null ? null : property.SetMethod.CreateDelegate<SetNumber>();
            }
            else
            {
                Pointer = property.GetMethod!.CreateDelegate<GetPointer>();
            }
        }

        public int Offset { get; }

        public int Size { get; }

        public GetPointer? Pointer { get; }

        public GetNumber? Number { get; }

        public SetNumber? Set { get; }
    }
}
