using System.Collections.Immutable;
using System.Reflection;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>Frozen arrays: their length, their elements, and the enumerators over them.</summary>
internal sealed partial class MethodTranslator
{
    private void LoadLength()
    {
        var array = Pop().Node;
        if (array is { Op: Op.FrozenObject, Payload: Array frozen })
        {
            Push(Node.Const(IrType.I64, frozen.LongLength));
            return;
        }

        Fail(Frozen.IsKnown(array) ? Rule.NullReference : Rule.NotFrozen, "the length of an array that is null, or not known at compile time; keep arrays in readonly fields");
        Push(Node.Const(IrType.I64, 0));
    }

    private void LoadElement(bool address)
    {
        var index = Pop().Node;
        var array = Pop().Node;
        if (array is not { Op: Op.FrozenObject, Payload: Array frozen })
        {
            Fail(Frozen.IsKnown(array) ? Rule.NullReference : Rule.NotFrozen, "an array is indexed that is null, or not known at compile time; keep arrays in readonly fields");
            Push(Node.Const(IrType.I64, 0));
            return;
        }

        var element = frozen.GetType().GetElementType()!;
        if (!index.IsConstant)
        {
            TrackSources(index, TypeLayout.HoldsObjects(element));
            LoadTableElement(frozen, element, Materialize(index), address);
            return;
        }

        var at = index.Type == IrType.I32 ? (int)index.Immediate : index.Immediate;
        if (at < 0 || at >= frozen.LongLength)
        {
            Fail(Rule.OutOfRange, $"element {at} of an array of {frozen.LongLength} is used; test the index against Length first");
            _stack.Add(Frozen.IsKnown(array) && TypeLayout.HoldsObjects(element) ? new Entry(Frozen.Null()) : _translator.Zero(element));
            return;
        }

        var value = Frozen.ToNode(frozen.GetValue(at), element);
        if (address && !value.IsFrozen && element.IsValueType)
        {
            var memory = _builder.Function.NewAlloca(TypeLayout.SizeOf(element), element.Name);
            StoreScalar(memory, 0, element, value);
            Push(memory);
            return;
        }

        _stack.Add(new Entry(value, !address && value.Op == Op.FrozenStruct ? element : null));
    }

    /// <summary>An element of a table, by a number that is known only at run time; outside of the table lies an error at compile time.</summary>
    private void LoadTableElement(Array array, Type element, Node index, bool address)
    {
        if (TypeLayout.HoldsObjects(element))
        {
            Fail(Rule.NotConstant, $"an array of {element.Name} is indexed by a number that is known only at run time; objects exist only at compile time: loop over the array and test which one is meant");
            Push(Frozen.Null());
            return;
        }

        if (array.Length == 0)
        {
            Fail(Rule.OutOfRange, "an empty array is indexed; test its Length first");
            _stack.Add(_translator.Zero(element));
            return;
        }

        var outside = _builder.Function.NewBlock();
        var inside = _builder.Function.NewBlock();
        _builder.Branch(Condition.GreaterOrEqualUnsigned, index, Node.Const(index.Type, array.Length), outside, inside);
        _builder.Current = outside;
        Fail(Rule.OutOfRange, $"the index of an array of {array.Length} may be out of range here, and a kernel program cannot throw; test it first, as in (uint)i < (uint)table.Length, or mask it");
        _builder.Current = inside;
        var offset = _builder.Binary(Op.Multiply, IrType.I64, _builder.ZeroExtend(index), Node.Const(IrType.I64, TypeLayout.SizeOf(element)));
        var place = _builder.Binary(Op.Add, IrType.Pointer, Table(ConstantTable.OfArray(array)), offset);
        _stack.Add(address ? new Entry(place) : LoadObject(place, element));
    }

    /// <summary>The enumerator of an immutable array is followed at translation; all else of the type is plain C#.</summary>
    private bool ArrayCursorMethod(MethodBase method, Entry[] arguments)
    {
        var owner = method.DeclaringType!;
        if (!owner.IsGenericType)
        {
            return false;
        }

        var definition = owner.GetGenericTypeDefinition();
        if (definition == typeof(ImmutableArray<>) && method.Name == nameof(ImmutableArray<int>.GetEnumerator) && arguments[0].Node.Op == Op.FrozenStruct)
        {
            var array = (Array?)owner.GetField("array", BindingFlags.Instance | BindingFlags.NonPublic)!.GetValue(arguments[0].Node.Payload);
            if (array is null)
            {
                Fail(Rule.NullReference, "a default ImmutableArray is enumerated; initialise it, [] is enough");
                array = Array.Empty<object>();
            }

            Push(new Node(Op.FrozenObject, IrType.Pointer) { Payload = new ArrayCursor(array, -1) });
            return true;
        }

        if (definition != typeof(ImmutableArray<>.Enumerator) || arguments[0].Node.Payload is not Slot { Known.Node.Payload: ArrayCursor cursor } slot)
        {
            return false;
        }

        if (method.Name == "MoveNext")
        {
            var next = cursor.Index + 1;
            slot.Known = new Entry(new Node(Op.FrozenObject, IrType.Pointer) { Payload = cursor with { Index = next } });
            return PushConstant(next < cursor.Array.Length ? 1 : 0);
        }

        Push(new Node(Op.FrozenObject, IrType.Pointer) { Payload = cursor.Array });
        Push(Node.Const(IrType.I32, cursor.Index));
        LoadElement(false);
        return true;
    }
}
