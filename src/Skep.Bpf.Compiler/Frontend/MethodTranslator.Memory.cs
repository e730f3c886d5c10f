using System.Reflection;
using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>Loads, stores, fields, struct copies.</summary>
internal sealed partial class MethodTranslator
{
    private Node LoadScalar(Node address, long displacement, Type type)
    {
        if (address.Op == Op.FrozenStruct)
        {
            // A whole frozen scalar boxed as itself.
            return Frozen.ToNode(address.Payload, type);
        }

        var size = TypeLayout.SizeOf(type);
        var value = _builder.Load(address, displacement, size, TypeLayout.ScalarOf(type)!.Value);
        return TypeLayout.SignedNarrowBits(type) is var bits and not 0 ? _builder.SignExtend(value, bits, IrType.I32) : value;
    }

    private void StoreScalar(Node address, long displacement, Type type, Node value)
    {
        var size = TypeLayout.SizeOf(type);
        if (size <= 4)
        {
            value = _builder.Truncate(Materialize(value));
            if (size < 4 && (KnownBits.VerifiedBits(value) >> (size * 8)) != 0)
            {
                // A promoted field must hold what a load of its width would give, to the verifier too; a store to memory drops the mask again.
                value = _builder.Binary(Op.And, IrType.I32, value, Node.Const(IrType.I32, (1 << (size * 8)) - 1));
            }
        }
        else if (value.Type == IrType.I32)
        {
            value = TypeLayout.IsSigned(type) ? _builder.SignExtend(value, 32, IrType.I64) : _builder.ZeroExtend(value);
        }
        else
        {
            value = Materialize(value);
        }

        _builder.Store(address, displacement, size, value);
    }

    /// <summary>Gives a frozen struct that is used as an address a place on the stack; frozen objects have no run-time value.</summary>
    private Node Materialize(Node node)
    {
        if (node.Op == Op.FrozenStruct)
        {
            var type = node.Payload!.GetType();
            var memory = _builder.Function.NewAlloca(TypeLayout.SizeOf(type), type.Name);
            StoreStruct(memory, new Entry(node, type), type);
            return memory;
        }

        if (node.Payload is KernelPlace place)
        {
            if (place.Where is null)
            {
                Missing(place);
            }
            else
            {
                Fail(Rule.KernelField, $"{Name(place)} has no address of its own in this kernel: it is a bit field, or narrower than in the view; read it into a variable");
            }

            return Node.Const(IrType.Pointer, 0);
        }

        if (node.Op == Op.FrozenObject)
        {
            Fail(Rule.NotFrozen, $"an object of type {node.Payload!.GetType().Name} is stored or passed to the kernel; objects exist only at compile time");
            return Node.Const(IrType.Pointer, 0);
        }

        return node;
    }

    private void StoreStruct(Node address, Entry value, Type type) => StructMemory.Store(_builder, address, value, type);

    private void Copy(Node target, Node source, Type type) => StructMemory.Copy(_builder, target, source, type);

    private void Zero(Node target, Type type) => StructMemory.Zero(_builder, target, type);

    private Entry LoadObject(Node address, Type type)
    {
        if (address.Payload is KernelPlace place)
        {
            return new Entry(ReadPlace(place, type));
        }

        if (!type.IsValueType && !type.IsPointer)
        {
            // An object behind a reference: known only when the reference is to a frozen place, which was resolved already.
            return new Entry(address);
        }

        if (address.Op == Op.FrozenStruct)
        {
            return TypeLayout.ScalarOf(type) is null ? new Entry(address, type) : new Entry(Frozen.ToNode(address.Payload, type));
        }

        if (TypeLayout.ScalarOf(type) is not null)
        {
            return new Entry(LoadScalar(address, 0, type));
        }

        var copy = _builder.Function.NewAlloca(TypeLayout.SizeOf(type), type.Name);
        Copy(copy, address, type);
        return new Entry(copy, type);
    }

    private void StoreObject(Node address, Entry value, Type type)
    {
        if (address.Payload is KernelPlace place)
        {
            WritePlace(place, type, value.Node);
            return;
        }

        if (address.IsFrozen)
        {
            Fail(Rule.MutableState, "a frozen object is written; keep changing state in a map or Global<T>");
            return;
        }

        if (TypeLayout.ScalarOf(type) is not null)
        {
            StoreScalar(address, 0, type, value.Node);
        }
        else
        {
            StoreStruct(address, value, type);
        }
    }

    private void LoadField(FieldInfo field)
    {
        if (field.IsStatic)
        {
            LoadStaticField(field);
            return;
        }

        if (LoadKernelField(field))
        {
            return;
        }

        var owner = Pop();
        switch (owner.Node.Op)
        {
            case Op.FrozenObject:
            case Op.FrozenStruct:
                var value = Frozen.Field(owner.Node.Payload!, field, _builder.Position);
                _stack.Add(new Entry(value, value.Op == Op.FrozenStruct ? field.FieldType : null));
                return;
            case Op.Constant when !field.DeclaringType!.IsValueType:
                Fail(Rule.NullReference, $"field '{field.Name}' is read through a null reference; test the object for null first");
                _stack.Add(_translator.Zero(field.FieldType));
                return;
        }

        var offset = TypeLayout.OffsetOf(field);
        if (TypeLayout.ScalarOf(field.FieldType) is not null)
        {
            _stack.Add(new Entry(LoadScalar(owner.Node, offset, field.FieldType)));
        }
        else
        {
            // Of a struct value on the stack the field needs no copy: nothing writes the temporary any more.
            var address = _builder.Offset(owner.Node, offset);
            _stack.Add(owner.Struct is not null ? new Entry(address, field.FieldType) : LoadObject(address, field.FieldType));
        }
    }

    private void LoadFieldAddress(FieldInfo field)
    {
        if (LoadKernelFieldAddress(field))
        {
            return;
        }

        var owner = Pop();
        if (owner.Node.IsFrozen)
        {
            var value = Frozen.Field(owner.Node.Payload!, field, _builder.Position);
            if (value.Op is Op.FrozenStruct or Op.FrozenObject)
            {
                _stack.Add(new Entry(value));
            }
            else if (field.FieldType.IsValueType)
            {
                var memory = _builder.Function.NewAlloca(TypeLayout.SizeOf(field.FieldType), field.Name);
                StoreScalar(memory, 0, field.FieldType, value);
                _stack.Add(new Entry(memory));
            }
            else
            {
                _stack.Add(new Entry(value));
            }

            return;
        }

        _stack.Add(new Entry(_builder.Offset(owner.Node, TypeLayout.OffsetOf(field))));
    }

    private void StoreField(FieldInfo field)
    {
        if (StoreKernelField(field))
        {
            return;
        }

        var value = Pop();
        var owner = Pop();
        if (owner.Node.IsFrozen)
        {
            Fail(Rule.MutableState, $"field '{field.DeclaringType!.Name}.{field.Name}' is written; a frozen object cannot change, keep state in a map or Global<T>");
            return;
        }

        StoreObject(_builder.Offset(owner.Node, TypeLayout.OffsetOf(field)), value, field.FieldType);
    }

    private void LoadStaticField(FieldInfo field)
    {
        if (!field.IsInitOnly && !field.IsLiteral)
        {
            Fail(Rule.MutableState, $"static field '{field.DeclaringType!.Name}.{field.Name}' is not readonly; make it const or static readonly, or use Global<T>");
            _stack.Add(_translator.Zero(field.FieldType));
            return;
        }

        var value = Frozen.ToNode(field.GetValue(null), field.FieldType);
        _stack.Add(new Entry(value, value.Op == Op.FrozenStruct ? field.FieldType : null));
    }

    private void LoadStaticFieldAddress(FieldInfo field)
    {
        if ((field.Attributes & FieldAttributes.HasFieldRVA) != 0)
        {
            Push(Table(ConstantTable.OfStatic(field)));
            return;
        }

        LoadStaticField(field);
        var value = Pop();
        if (!value.Node.IsFrozen && field.FieldType.IsValueType)
        {
            var memory = _builder.Function.NewAlloca(TypeLayout.SizeOf(field.FieldType), field.Name);
            StoreObject(memory, value, field.FieldType);
            value = new Entry(memory);
        }

        _stack.Add(new Entry(value.Node));
    }

    private Entry Pop()
    {
        var entry = _stack[^1];
        _stack.RemoveAt(_stack.Count - 1);
        return entry;
    }
}
