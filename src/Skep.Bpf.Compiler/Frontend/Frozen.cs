using System.Buffers.Binary;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>Values that are known because the object they stand in is frozen.</summary>
internal static class Frozen
{
    private static readonly object s_null = new();
    private static readonly object s_followed = new();

    /// <summary>The value of a CLR object as an IR leaf: constants for scalars and null, otherwise a frozen reference or struct.</summary>
    public static Node ToNode(object? value, Type type)
    {
        if (value is null)
        {
            return Null();
        }

        if (TypeLayout.ScalarOf(type) is { } scalar)
        {
            if (scalar == IrType.Pointer)
            {
                throw new CompileException(
                    Rule.NotFrozen, $"a field of type {type} holds an address of this process; a kernel program cannot use it", new SourcePosition(type.ToString(), 0, 0));
            }

            return Node.Const(scalar, ToInt64(value));
        }

        return type.IsValueType
            ? new Node(Op.FrozenStruct, IrType.Pointer) { Payload = value }
            : new Node(Op.FrozenObject, IrType.Pointer) { Payload = value };
    }

    /// <summary>The null reference: a constant, but one that takes part in what is known at translation, as objects do.</summary>
    public static Node Null() => new(Op.Constant, IrType.Pointer) { Payload = s_null };

    /// <summary>Whether a value is an object, a frozen struct, or no object for certain.</summary>
    public static bool IsKnown(Node node) => node.IsFrozen || ReferenceEquals(node.Payload, s_null);

    /// <summary>Whether a constant is the current number of a variable that is followed at translation.</summary>
    public static bool IsFollowed(Node node) => ReferenceEquals(node.Payload, s_followed);

    /// <summary>A constant as a followed variable of the type would hold it.</summary>
    public static Node Constant(Type type, long value)
    {
        var bits = 64 - (TypeLayout.SizeOf(type) * 8);
        value = TypeLayout.IsSigned(type) ? value << bits >> bits : (long)((ulong)value << bits >> bits);
        var node = Node.Const(TypeLayout.ScalarOf(type)!.Value, value);
        node.Payload = s_followed;
        return node;
    }

    /// <summary>Whether two frozen values cannot be told apart: the same object, or structs of the same values.</summary>
    public static bool IsSame(object? a, object? b)
    {
        if (ReferenceEquals(a, b))
        {
            return true;
        }

        if (a is null || b is null || a.GetType() != b.GetType())
        {
            return false;
        }

        if (a is ArrayCursor or MemberInfo)
        {
            return a.Equals(b);
        }

        var type = a.GetType();
        return type.IsPrimitive || type.IsEnum ? a.Equals(b) : type.IsValueType && HasSameFields(type, a, b);
    }

    /// <summary>A number that is the same for payloads that <see cref="IsSame(object?, object?)"/> takes for the same.</summary>
    public static int HashOf(object? payload) => payload switch
    {
        null => 0,
        ArrayCursor cursor => HashCode.Combine(RuntimeHelpers.GetHashCode(cursor.Array), cursor.Index),
        MemberInfo => payload.GetHashCode(),
        ValueType when payload.GetType() is { IsPrimitive: false, IsEnum: false } type => type.GetHashCode(),
        ValueType => payload.GetHashCode(),
        _ => RuntimeHelpers.GetHashCode(payload),
    };

    private static bool HasSameFields(Type type, object a, object b)
    {
        foreach (var field in type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic))
        {
            if (!IsSame(field.GetValue(a), field.GetValue(b)))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Reads a field of a frozen object or boxed struct.</summary>
    public static Node Field(object owner, FieldInfo field, SourcePosition position)
    {
        if (!field.IsInitOnly && !owner.GetType().IsValueType && !CapturedParameters.IsReadOnly(field))
        {
            throw new CompileException(
                Rule.MutableState,
                $"field '{field.DeclaringType!.Name}.{field.Name}' is not readonly, so it is not frozen; make it readonly, or keep changing state in a map or Global<T>",
                position);
        }

        return ToNode(field.GetValue(owner), field.FieldType);
    }

    /// <summary>A scalar piece of a boxed unmanaged struct.</summary>
    public static long Piece(object boxed, Leaf leaf)
    {
        // SAFETY: the object is a box of an unmanaged struct, whose first field stands where RawBox.First does; the leaf lies within its size.
        if (leaf.Offset + leaf.Size > TypeLayout.SizeOf(boxed.GetType()))
        {
            throw new InvalidOperationException($"a {boxed.GetType().Name} is read as a larger struct");
        }

        var bytes = MemoryMarshal.CreateReadOnlySpan(ref Unsafe.As<RawBox>(boxed).First, leaf.Offset + leaf.Size)[leaf.Offset..];
        return leaf.Size switch
        {
            1 => bytes[0],
            2 => BinaryPrimitives.ReadUInt16LittleEndian(bytes),
            4 => BinaryPrimitives.ReadUInt32LittleEndian(bytes),
            _ => BinaryPrimitives.ReadInt64LittleEndian(bytes),
        };
    }

    private static long ToInt64(object value) => value switch
    {
        bool b => b ? 1 : 0,
        char c => c,
        ulong u => unchecked((long)u),
        nint n => n,
        nuint n => unchecked((long)(ulong)n),
        Enum e => ToInt64(Convert.ChangeType(e, Enum.GetUnderlyingType(e.GetType()), System.Globalization.CultureInfo.InvariantCulture)),
        _ => Convert.ToInt64(value, System.Globalization.CultureInfo.InvariantCulture),
    };

    /// <summary>The shape of a box: an object header, then the bytes of the struct.</summary>
    private sealed class RawBox
    {
#pragma warning disable CS0649 // written by the runtime, as part of the box
        public byte First;
#pragma warning restore CS0649
    }
}
