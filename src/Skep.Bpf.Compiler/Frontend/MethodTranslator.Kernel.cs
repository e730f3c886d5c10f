using System.Reflection;
using Skep.Bpf.Btf;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Compiler.Ir;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>Fields of kernel structs, which are where the BTF of the kernel at hand says, and questions about its types.</summary>
internal sealed partial class MethodTranslator
{
    private KernelLayouts Kernel => _translator.Kernel;

    private bool LoadKernelField(FieldInfo field)
    {
        if (!KernelLayouts.IsView(field.DeclaringType))
        {
            return false;
        }

        var place = PlaceOf(field, Pop().Node);
        if (place.Where is not { } where)
        {
            Missing(place);
            _stack.Add(TypeLayout.ScalarOf(field.FieldType) is null ? new Entry(Node.Const(IrType.Pointer, 0), field.FieldType) : _translator.Zero(field.FieldType));
        }
        else if (TypeLayout.ScalarOf(field.FieldType) is not null)
        {
            Push(ReadPlace(place, field.FieldType));
        }
        else if (KernelLayouts.IsView(field.FieldType))
        {
            // The address stands for the value: C# goes on to a field of it.
            _stack.Add(new Entry(_builder.Offset(place.Owner, where.Offset), field.FieldType));
        }
        else
        {
            _stack.Add(new Entry(CopyFromKernel(_builder.Offset(place.Owner, where.Offset), field.FieldType), field.FieldType));
        }

        return true;
    }

    private bool LoadKernelFieldAddress(FieldInfo field)
    {
        if (!KernelLayouts.IsView(field.DeclaringType))
        {
            return false;
        }

        var place = PlaceOf(field, Pop().Node);
        var hasAddress = place.Where is { BitSize: 0 } where
            && (TypeLayout.ScalarOf(field.FieldType) is null || where.Size == TypeLayout.SizeOf(field.FieldType));
        Push(hasAddress ? _builder.Offset(place.Owner, place.Where!.Value.Offset) : new Node(Op.FrozenObject, IrType.Pointer) { Payload = place });
        return true;
    }

    private bool StoreKernelField(FieldInfo field)
    {
        if (!KernelLayouts.IsView(field.DeclaringType))
        {
            return false;
        }

        var value = Pop();
        var place = PlaceOf(field, Pop().Node);
        if (TypeLayout.ScalarOf(field.FieldType) is not null)
        {
            WritePlace(place, field.FieldType, value.Node);
        }
        else if (place.Where is { } where)
        {
            StoreStruct(_builder.Offset(place.Owner, where.Offset), value, field.FieldType);
        }
        else
        {
            Missing(place);
        }

        return true;
    }

    private KernelPlace PlaceOf(FieldInfo field, Node owner)
    {
        if (owner.Payload is KernelPlace { Where: null })
        {
            return new KernelPlace(field, null, owner);
        }

        var where = Kernel.Field(field, _builder.Position);
        if (where is { } found && Kernel.Contradiction(field, found, _builder.Position) is { } contradiction)
        {
            Fail(Rule.KernelField, $"{KernelLayouts.Describe(field.DeclaringType!)}: field {KernelLayouts.PathOf(field)} {contradiction}");
        }

        return new KernelPlace(field, where, owner);
    }

    private void Missing(KernelPlace place)
    {
        // Of nested fields the outermost that is missing is what the kernel lacks.
        while (place.Owner.Payload is KernelPlace { Where: null } outer)
        {
            place = outer;
        }

        var view = place.Field.DeclaringType!;
        Fail(
            Rule.KernelField,
            Kernel.Find(view, _builder.Position) is null
                ? $"this kernel has no {KernelLayouts.Describe(view)}; ask KernelType.Exists<{view.Name}>() before using it"
                : $"this kernel's {KernelLayouts.Describe(view)} has no field {KernelLayouts.PathOf(place.Field)}; ask KernelType.Exists(&pointer->{place.Field.Name}) before using it");
    }

    /// <summary>Reads a number or pointer with the width and sign the kernel has it in.</summary>
    private Node ReadPlace(KernelPlace place, Type type)
    {
        if (place.Where is not { } where)
        {
            Missing(place);
            return _translator.Zero(type).Node;
        }

        if (where.Size is not (1 or 2 or 4 or 8))
        {
            Fail(Rule.KernelField, $"{Name(place)} has {where.Size} bytes in this kernel; only 1, 2, 4 and 8 can be read at once");
            return _translator.Zero(type).Node;
        }

        var scalar = TypeLayout.ScalarOf(type)!.Value;
        var signed = where.Size == TypeLayout.SizeOf(type) && where.BitSize == 0 ? TypeLayout.IsSigned(type) : Kernel.IsSigned(where.Type);
        var word = LoadWord(place, where, scalar == IrType.Pointer);
        var bits = where.Size * 8;
        if (where.BitSize > 0)
        {
            bits = where.BitSize;
            word = _builder.ZeroExtend(word);
            word = _builder.Binary(Op.ShiftLeft, IrType.I64, word, Node.Const(IrType.I64, 64 - where.BitOffset - bits));
            word = _builder.Binary(signed ? Op.ShiftRightSigned : Op.ShiftRightUnsigned, IrType.I64, word, Node.Const(IrType.I64, 64 - bits));
            return scalar == IrType.I32 ? _builder.Truncate(word) : word;
        }

        if (scalar == IrType.I32)
        {
            return signed && bits < 32 ? _builder.SignExtend(word, bits, IrType.I32) : word;
        }

        return word.Type != IrType.I32 ? word : signed ? _builder.SignExtend(word, bits, IrType.I64) : _builder.ZeroExtend(word);
    }

    private void WritePlace(KernelPlace place, Type type, Node value)
    {
        if (place.Where is not { } where)
        {
            Missing(place);
            return;
        }

        var width = where.Size == 8 ? IrType.I64 : IrType.I32;
        value = Materialize(value);
        value = width == IrType.I32 ? _builder.Truncate(value)
            : value.Type != IrType.I32 ? value
            : TypeLayout.IsSigned(type) ? _builder.SignExtend(value, 32, IrType.I64) : _builder.ZeroExtend(value);
        if (where.BitSize > 0)
        {
            var mask = where.BitSize == 64 ? -1 : (1L << where.BitSize) - 1;
            var bits = _builder.Binary(Op.ShiftLeft, width, _builder.Binary(Op.And, width, value, Node.Const(width, mask)), Node.Const(width, where.BitOffset));
            var rest = _builder.Binary(Op.And, width, LoadWord(place, where, false), Node.Const(width, ~(mask << where.BitOffset)));
            value = _builder.Binary(Op.Or, width, rest, bits);
        }

        _builder.Emit(new Node(Op.Store, IrType.Void) { Size = where.Size, Immediate = where.Offset, Payload = new KernelAccess(Name(place)) }.With(place.Owner, value));
    }

    private Node LoadWord(KernelPlace place, BtfField where, bool isPointer) => _builder.Emit(new Node(Op.Load, isPointer ? IrType.Pointer : where.Size == 8 ? IrType.I64 : IrType.I32)
    {
        Size = where.Size,
        Immediate = where.Offset,
        Provenance = isPointer ? Provenance.Kernel : Provenance.None,
        Payload = new KernelAccess(Name(place), isPointer ? Kernel.Pointee(where.Type) : null),
    }.With(place.Owner));

    /// <summary>Bytes that are no view come by one call: the verifier lets a struct of the kernel be read only member by member.</summary>
    private Node CopyFromKernel(Node address, Type type)
    {
        var size = TypeLayout.SizeOf(type);
        var copy = _builder.Function.NewAlloca(size, type.Name);
        _builder.Emit(new Node(Op.Call, IrType.I64)
        {
            Immediate = HelperCall.ProbeReadKernel,
            Payload = new HelperCall(nameof(Helper.ProbeReadKernel), [new HelperArgument(size, false), default, default]),
        }.With(copy, Node.Const(IrType.I64, size), address));
        return copy;
    }

    private static string Name(KernelPlace place) => $"{KernelLayouts.Describe(place.Field.DeclaringType!)}: field {KernelLayouts.PathOf(place.Field)}";

    /// <summary>Marks a pointer argument, so that what it leads to is read without a call as far as the kernel's type of it goes.</summary>
    private KernelAccess? TypedArgument(Type pointer, int index)
    {
        if (!pointer.IsPointer || !KernelLayouts.IsView(pointer.GetElementType()) || _translator.Target.KernelBtf is null)
        {
            return null;
        }

        // What the kernel says counts: a program may know better that a socket is one of TCP, the verifier does not.
        var name = KernelLayouts.Describe(pointer.GetElementType()!);
        var argument = _translator.Program switch
        {
            RawTracepointProgram program => Kernel.TracepointArgument(program.Tracepoint, index),
            IteratorProgram program => Kernel.IteratorWord(program.Target, index),
            _ => null,
        };
        return argument is { } type
            ? new KernelAccess(name, Kernel.Pointee(type))
            : Kernel.Find(pointer.GetElementType()!, _builder.Position) is { } id ? new KernelAccess(name, id) : null;
    }

    private void KernelQuery(MethodInfo method, KernelQuery query, Entry[] arguments)
    {
        var type = method.IsGenericMethod ? method.GetGenericArguments()[0] : null;
        switch (query)
        {
            case Programming.KernelQuery.FieldExists:
                PushConstant(arguments[0].Node.Payload is KernelPlace { Where: null } ? 0 : 1);
                break;
            case Programming.KernelQuery.TypeExists:
                PushConstant(Kernel.Find(View(type!), _builder.Position) is null ? 0 : 1);
                break;
            case Programming.KernelQuery.FunctionExists:
                PushConstant(Kernel.Require("a function", _builder.Position).Find((string)arguments[0].Node.Payload!, BtfKind.Function) is null ? 0 : 1);
                break;
            case Programming.KernelQuery.TypeSize:
                PushConstant(Kernel.SizeOf(View(type!), _builder.Position));
                break;
            default:
                EnumQuery(query, type!, arguments[0].Node);
                break;
        }
    }

    private void EnumQuery(KernelQuery query, Type type, Node member)
    {
        if (!member.IsConstant)
        {
            Fail(Rule.NotConstant, $"the member of {type.Name} must be a constant, such as {type.Name}.{Enum.GetNames(type).FirstOrDefault()}");
            Push(member);
            return;
        }

        var number = member.Type == IrType.I32 && TypeLayout.IsSigned(type) ? (int)member.Immediate : member.Immediate;
        var value = Kernel.Value(type, number, _builder.Position);
        if (query == Programming.KernelQuery.ValueExists)
        {
            PushConstant(value is null ? 0 : 1);
            return;
        }

        if (value is null)
        {
            Fail(Rule.KernelField, $"this kernel's enum {type.GetCustomAttribute<KernelEnumAttribute>()!.Name} has no value for {type.Name}.{Enum.ToObject(type, number)}; ask KernelType.HasValue before using it");
        }

        Push(Node.Const(member.Type, value ?? 0));
    }

    private Type View(Type type) => KernelLayouts.IsView(type) ? type : throw new CompileException(
        Rule.KernelField, $"{type.Name} is no view of a kernel struct; mark it with [KernelStruct(\"name\")]", _builder.Position);
}
