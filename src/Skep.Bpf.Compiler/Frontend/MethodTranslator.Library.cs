using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>Methods of the class library whose C# is written for processors: what they mean is done here, or their portable half is chosen.</summary>
internal sealed partial class MethodTranslator
{
    /// <summary>Longest comparison or copy of known length that becomes code without a loop.</summary>
    private const int LongestBlock = 128;

    private bool LibraryMethod(MethodBase method, Entry[] arguments)
    {
        var owner = method.DeclaringType!;
        if (method.Name is "get_IsSupported" or "get_IsHardwareAccelerated" && owner.Assembly == typeof(object).Assembly)
        {
            // The portable code follows.
            return PushConstant(0);
        }

        if (owner.Assembly == typeof(object).Assembly && owner.Name == "ThrowHelper")
        {
            if (method.Name.Contains("Range", StringComparison.Ordinal) || method.Name.Contains("TooShort", StringComparison.Ordinal))
            {
                Fail(Rule.OutOfRange, "an index or a length may be out of range here, and a kernel program cannot throw; test it first, as in (uint)i < (uint)span.Length, or mask it");
                PushResult(_translator.Dead(method));
                return true;
            }

            return false;
        }

        if (method.Name == "get_Default" && owner.IsGenericType && owner.GetGenericTypeDefinition() == typeof(EqualityComparer<>))
        {
            Push(new Node(Op.FrozenObject, IrType.Pointer) { Payload = owner.GetProperty("Default")!.GetValue(null) });
            return true;
        }

        return ArrayCursorMethod(method, arguments)
            || (owner == typeof(RuntimeHelpers) && RuntimeHelper((MethodInfo)method, arguments))
            || (owner == typeof(MemoryMarshal) && MarshalMethod((MethodInfo)method, arguments))
            || (owner == typeof(Buffer) && method.Name == "Memmove" && CopyBlock((MethodInfo)method, arguments))
            || (owner.FullName == "System.SpanHelpers" && SpanHelper((MethodInfo)method, arguments));
    }

    private bool RuntimeHelper(MethodInfo method, Entry[] arguments)
    {
        switch (method.Name)
        {
            case nameof(RuntimeHelpers.IsReferenceOrContainsReferences):
                return PushConstant(TypeLayout.HoldsObjects(method.GetGenericArguments()[0]) ? 1 : 0);
            case "IsBitwiseEquatable":
                return PushConstant(TypeLayout.ScalarOf(method.GetGenericArguments()[0]) is not null ? 1 : 0);
            case "IsKnownConstant":
                return PushConstant(0);
            case nameof(RuntimeHelpers.CreateSpan) when arguments[0].Node.Payload is FieldInfo field:
            {
                var element = method.GetGenericArguments()[0];
                var table = ConstantTable.OfStatic(field);
                var span = _builder.Function.NewAlloca(TypeLayout.SizeOf(method.ReturnType), method.ReturnType.Name);
                _builder.Store(span, 0, 8, Table(table));
                _builder.Store(span, 8, 4, Node.Const(IrType.I32, table.Bytes.Length / TypeLayout.SizeOf(element)));
                _builder.Store(span, 12, 4, Node.Const(IrType.I32, 0));
                _stack.Add(new Entry(span, method.ReturnType));
                return true;
            }

            default:
                return false;
        }
    }

    private static Node Table(ConstantTable table) => new(Op.MapValue, IrType.Pointer) { Payload = table, Provenance = Provenance.MapValue };

    private bool MarshalMethod(MethodInfo method, Entry[] arguments)
    {
        if (method.Name != nameof(MemoryMarshal.GetArrayDataReference) || arguments[0].Node is not { Op: Op.FrozenObject, Payload: Array array })
        {
            return false;
        }

        var element = array.GetType().GetElementType()!;
        if (TypeLayout.HoldsObjects(element))
        {
            Fail(Rule.NotFrozen, $"a span over {element.Name} is made; objects exist only at compile time: index the array itself, or loop over it");
            Push(Node.Const(IrType.Pointer, 0));
            return true;
        }

        Push(Table(ConstantTable.OfArray(array)));
        return true;
    }

    /// <summary><c>Buffer.Memmove(ref target, ref source, count)</c> for a count known at translation.</summary>
    private bool CopyBlock(MethodInfo method, Entry[] arguments)
    {
        var size = method.IsGenericMethod ? TypeLayout.SizeOf(method.GetGenericArguments()[0]) : 1;
        if (BlockLength(arguments[2].Node, size) is not { } length)
        {
            Fail(Rule.NotConstant, $"memory is copied whose length is not known at compile time, or is more than {LongestBlock} bytes; copy in a loop with a constant bound");
            return true;
        }

        var (target, source) = (Materialize(arguments[0].Node), Materialize(arguments[1].Node));
        var pieces = Pieces(length).Select(p => (Piece: p, Value: _builder.Load(source, p.Offset, p.Size, p.Type))).ToList();
        foreach (var (piece, value) in pieces)
        {
            _builder.Store(target, piece.Offset, piece.Size, value);
        }

        return true;
    }

    private bool SpanHelper(MethodInfo method, Entry[] arguments)
    {
        switch (method.Name)
        {
            case "SequenceEqual" when arguments.Length == 3:
            {
                var size = method.IsGenericMethod ? TypeLayout.SizeOf(method.GetGenericArguments()[0]) : 1;
                if (BlockLength(arguments[2].Node, size) is not { } length)
                {
                    Fail(Rule.NotConstant, $"spans are compared whose length is not known at compile time, or is more than {LongestBlock} bytes; compare slices of constant length, or in a loop with a constant bound");
                    return PushConstant(0);
                }

                var (a, b) = (Materialize(arguments[0].Node), Materialize(arguments[1].Node));
                Node? difference = null;
                foreach (var piece in Pieces(length))
                {
                    var left = _builder.ZeroExtend(_builder.Load(a, piece.Offset, piece.Size, piece.Type));
                    var right = _builder.ZeroExtend(_builder.Load(b, piece.Offset, piece.Size, piece.Type));
                    var differs = _builder.Binary(Op.Xor, IrType.I64, left, right);
                    difference = difference is null ? differs : _builder.Binary(Op.Or, IrType.I64, difference, differs);
                }

                Push(difference is null ? Node.Const(IrType.I32, 1) : _builder.Compare(Condition.Equal, difference, Node.Const(IrType.I64, 0)));
                return true;
            }

            case "ClearWithoutReferences" or "Fill":
            {
                var size = method.IsGenericMethod ? TypeLayout.SizeOf(method.GetGenericArguments()[0]) : 1;
                if (BlockLength(arguments[1].Node, size) is not { } length || (arguments.Length == 3 && TypeLayout.ScalarOf(method.GetGenericArguments()[0]) is null))
                {
                    Fail(Rule.NotConstant, $"memory is filled whose length is not known at compile time, or is more than {LongestBlock} bytes; fill it in a loop with a constant bound");
                    return true;
                }

                var target = Materialize(arguments[0].Node);
                foreach (var piece in arguments.Length == 3 ? Enumerable.Range(0, length / size).Select(i => new Leaf(i * size, size, size == 8 ? IrType.I64 : IrType.I32)) : Pieces(length))
                {
                    _builder.Store(target, piece.Offset, piece.Size, arguments.Length == 3 ? arguments[2].Node : Node.Const(piece.Type, 0));
                }

                return true;
            }

            default:
                return false;
        }
    }

    private static int? BlockLength(Node count, int size) =>
        count.IsConstant && count.Immediate >= 0 && count.Immediate <= LongestBlock / size ? (int)count.Immediate * size : null;

    private static IEnumerable<Leaf> Pieces(int length)
    {
        for (var offset = 0; offset < length;)
        {
            var size = length - offset >= 8 ? 8 : length - offset >= 4 ? 4 : length - offset >= 2 ? 2 : 1;
            yield return new Leaf(offset, size, size == 8 ? IrType.I64 : IrType.I32);
            offset += size;
        }
    }
}
