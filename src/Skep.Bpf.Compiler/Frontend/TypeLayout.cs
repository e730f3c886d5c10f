using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Compiler.Ir;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>A scalar piece of a struct.</summary>
internal readonly record struct Leaf(int Offset, int Size, IrType Type);

/// <summary>
/// Layout of unmanaged types as the CLR lays them out in memory, which is what both sides of a map see.
/// Computed from metadata and checked against the runtime's own size.
/// </summary>
internal sealed class TypeLayout
{
    private static readonly MemberCache<Type, TypeLayout> s_layouts = new(Compute);
    private static readonly MemberCache<Type, bool> s_holdsObjects = new(static t =>
        !t.IsPointer && !t.IsByRef && !t.IsFunctionPointer && !t.IsPrimitive && !t.IsEnum
        && (!t.IsValueType || t.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic).Any(static f => HoldsObjects(f.FieldType))));

    private readonly Dictionary<int, int> _offsets = [];

    private TypeLayout(int size, int alignment)
    {
        Size = size;
        Alignment = alignment;
    }

    public int Size { get; }

    public int Alignment { get; }

    /// <summary>The scalar pieces in order of offset, without padding; overlapping unions are cut into plain chunks.</summary>
    public Leaf[] Leaves { get; private set; } = [];

    /// <summary>Whether it is or holds a thing of the kernel that cannot be copied, and of which no byte is the program's.</summary>
    public bool HoldsKernelObject { get; private set; }

    /// <summary>Bytes that belong to no piece, as chunks of 1, 2, 4 or 8.</summary>
    public Leaf[] Padding { get; private set; } = [];

    public static TypeLayout Of(Type type) => s_layouts.Of(type);

    public static int SizeOf(Type type) => Of(type).Size;

    public static int OffsetOf(FieldInfo field)
    {
        var owner = field.DeclaringType!;
        return Of(owner)._offsets[field.MetadataToken];
    }

    /// <summary>Whether no value of the type can exist in a kernel program.</summary>
    public static bool IsForbidden(Type type) =>
        (!type.IsValueType && ScalarOf(type) is null) || type == typeof(float) || type == typeof(double) || type == typeof(decimal) || type == typeof(Half);

    /// <summary>Whether values of the type are objects or have objects in them: they exist at translation only.</summary>
    public static bool HoldsObjects(Type type) => s_holdsObjects.Of(type);

    /// <summary>The IR type of a scalar type, or null for structs.</summary>
    public static IrType? ScalarOf(Type type)
    {
        if (type.IsEnum)
        {
            type = Enum.GetUnderlyingType(type);
        }

        if (type.IsPointer || type.IsByRef || type.IsFunctionPointer)
        {
            return IrType.Pointer;
        }

        return Type.GetTypeCode(type) switch
        {
            TypeCode.Boolean or TypeCode.Char or TypeCode.SByte or TypeCode.Byte or TypeCode.Int16 or TypeCode.UInt16 or TypeCode.Int32 or TypeCode.UInt32 => IrType.I32,
            TypeCode.Int64 or TypeCode.UInt64 => IrType.I64,
            _ => type == typeof(nint) || type == typeof(nuint) ? IrType.I64 : null,
        };
    }

    /// <summary>Width in bits when a scalar type is narrower than 32 bits and signed, so that a load must be sign-extended; else 0.</summary>
    public static int SignedNarrowBits(Type type)
    {
        if (type.IsEnum)
        {
            type = Enum.GetUnderlyingType(type);
        }

        return Type.GetTypeCode(type) switch { TypeCode.SByte => 8, TypeCode.Int16 => 16, _ => 0 };
    }

    public static bool IsSigned(Type type)
    {
        if (type.IsEnum)
        {
            type = Enum.GetUnderlyingType(type);
        }

        return Type.GetTypeCode(type) is TypeCode.SByte or TypeCode.Int16 or TypeCode.Int32 or TypeCode.Int64 || type == typeof(nint);
    }

    private static TypeLayout Compute(Type type)
    {
        if (ScalarOf(type) is { } scalar)
        {
            var size = type.IsPointer || type.IsByRef || type.IsFunctionPointer || type == typeof(nint) || type == typeof(nuint)
                ? 8
                : Type.GetTypeCode(type.IsEnum ? Enum.GetUnderlyingType(type) : type) switch
                {
                    TypeCode.Boolean or TypeCode.SByte or TypeCode.Byte => 1,
                    TypeCode.Char or TypeCode.Int16 or TypeCode.UInt16 => 2,
                    TypeCode.Int32 or TypeCode.UInt32 => 4,
                    _ => 8,
                };
            return new TypeLayout(size, size) { Leaves = [new Leaf(0, size, scalar)] };
        }

        if (IsForbidden(type))
        {
            throw new CompileException(
                Rule.Layout,
                $"{type.Name} cannot be a value in a kernel program; use unmanaged structs of integers" + (type == typeof(double) || type == typeof(float) ? " (the kernel has no floating point: scale to integers)" : ""),
                new SourcePosition(type.ToString(), 0, 0));
        }

        return ComputeStruct(type);
    }

    private static TypeLayout ComputeStruct(Type type)
    {
        if (KernelLayouts.IsView(type))
        {
            throw new CompileException(
                Rule.KernelField, $"a {type.Name} is copied or declared as a variable; the struct exists only in the kernel: keep a pointer or ref to it", new SourcePosition(type.ToString(), 0, 0));
        }

        if (type.GetCustomAttribute<KernelStructAttribute>(false) is { OnStack: true })
        {
            return new TypeLayout(RuntimeHelpers.SizeOf(type.TypeHandle), 8) { HoldsKernelObject = true };
        }

        var fields = type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic);
        Array.Sort(fields, static (a, b) => a.MetadataToken.CompareTo(b.MetadataToken));
        var attribute = type.StructLayoutAttribute!;
        var pack = attribute.Pack is 0 ? 8 : attribute.Pack;
        var isExplicit = attribute.Value == LayoutKind.Explicit;
        var offsets = new Dictionary<int, int>();
        var leaves = new List<Leaf>();
        int end = 0, alignment = 1;
        var holdsKernelObject = false;
        foreach (var field in fields)
        {
            var inner = Of(field.FieldType);
            holdsKernelObject |= inner.HoldsKernelObject;
            var fieldAlignment = Math.Min(inner.Alignment, pack);
            var offset = isExplicit
                ? field.GetCustomAttribute<FieldOffsetAttribute>()!.Value
                : (end + fieldAlignment - 1) & -fieldAlignment;
            offsets[field.MetadataToken] = offset;
            end = Math.Max(end, offset + inner.Size);
            alignment = Math.Max(alignment, fieldAlignment);
            foreach (var leaf in inner.Leaves)
            {
                leaves.Add(leaf with { Offset = leaf.Offset + offset });
            }
        }

        var opaque = false;
        if (type.GetCustomAttribute<InlineArrayAttribute>() is { } inline)
        {
            var element = Of(fields[0].FieldType);
            end = element.Size * inline.Length;
            leaves.Clear();
            for (var i = 0; i < inline.Length; i++)
            {
                foreach (var leaf in element.Leaves)
                {
                    leaves.Add(leaf with { Offset = leaf.Offset + (i * element.Size) });
                }
            }
        }
        else if (attribute.Size > end)
        {
            // A fixed buffer: one declared element, the rest is size.
            opaque = fields.Length == 1;
            end = attribute.Size;
        }

        if (type == typeof(Int128) || type == typeof(UInt128))
        {
            // The runtime aligns them as C does __int128.
            alignment = 16;
        }

        var size = Math.Max(1, (end + alignment - 1) & -alignment);
        var byReference = fields.Any(f => f.FieldType.IsByRef) || type.IsByRefLike;
        if (!byReference && size != RuntimeHelpers.SizeOf(type.TypeHandle))
        {
            throw new CompileException(
                Rule.Layout,
                $"the layout of {type} is not sequential: the runtime says {RuntimeHelpers.SizeOf(type.TypeHandle)} bytes, its fields {size}; add [StructLayout(LayoutKind.Sequential)] and only unmanaged fields",
                new SourcePosition(type.ToString(), 0, 0));
        }

        // By hand: they are nearly in order, and sorting of structs cannot be compiled ahead of time.
        for (var i = 1; i < leaves.Count; i++)
        {
            for (var j = i; j > 0 && leaves[j].Offset < leaves[j - 1].Offset; j--)
            {
                (leaves[j], leaves[j - 1]) = (leaves[j - 1], leaves[j]);
            }
        }

        for (var i = 1; i < leaves.Count && !opaque; i++)
        {
            opaque = leaves[i].Offset < leaves[i - 1].Offset + leaves[i - 1].Size;
        }

        var layout = new TypeLayout(size, alignment) { HoldsKernelObject = holdsKernelObject };
        if (opaque)
        {
            var chunks = new List<Leaf>();
            AddChunks(chunks, 0, size, alignment);
            layout.Leaves = chunks.ToArray();
        }
        else if (holdsKernelObject)
        {
            layout.Leaves = leaves.ToArray();
        }
        else
        {
            layout.Leaves = leaves.ToArray();
            var padding = new List<Leaf>();
            var position = 0;
            foreach (var leaf in leaves)
            {
                AddChunks(padding, position, leaf.Offset, 8);
                position = leaf.Offset + leaf.Size;
            }

            AddChunks(padding, position, size, 8);
            layout.Padding = padding.ToArray();
        }

        foreach (var (token, offset) in offsets)
        {
            layout._offsets[token] = offset;
        }

        return layout;
    }

    /// <summary>Cuts a byte range into naturally aligned chunks of at most <paramref name="alignment"/> bytes.</summary>
    private static void AddChunks(List<Leaf> chunks, int start, int end, int alignment)
    {
        while (start < end)
        {
            var size = Math.Min(8, alignment);
            while (size > 1 && (start % size != 0 || start + size > end))
            {
                size /= 2;
            }

            chunks.Add(new Leaf(start, size, size == 8 ? IrType.I64 : IrType.I32));
            start += size;
        }
    }
}
