using System.Buffers.Binary;
using System.Reflection;
using System.Runtime.CompilerServices;
using Skep.Bpf.Asm;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Compiler.Ir;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>Methods whose meaning in the kernel is not their C# body.</summary>
internal sealed partial class MethodTranslator
{
    private const int DynptrWrite = 202;

    private bool Intrinsic(MethodBase method, Entry[] arguments)
    {
        var attributes = KnownMethod.Of(method).Attributes;
        if (Array.Find(attributes, static a => a is OnlyForAttribute) is OnlyForAttribute only && !only.Types.Contains(_translator.Kind.Type))
        {
            Fail(
                Rule.WrongKind,
                $"'{method.DeclaringType!.Name}.{method.Name}' cannot be used in programs of kind {_translator.Kind.Name}; only in those of type {string.Join(", ", only.Types)}");
        }

        foreach (var attribute in attributes)
        {
            switch (attribute)
            {
                case KernelHelperAttribute helper:
                    CallHelper((MethodInfo)method, helper, arguments);
                    return true;
                case ContextFieldAttribute field:
                    ContextField((MethodInfo)method, field, arguments);
                    return true;
                case KernelFunctionAttribute function:
                    CallKernelFunction((MethodInfo)method, function, arguments);
                    return true;
                case KernelQueryAttribute query:
                    KernelQuery((MethodInfo)method, query.Query, arguments);
                    return true;
                case TracepointArgumentAttribute:
                    TracepointArgument((MethodInfo)method, arguments);
                    return true;
                case TailCallAttribute:
                    TailCall((MethodInfo)method, arguments);
                    return true;
                case LoopLoweringAttribute loop:
                    LowerLoop((MethodInfo)method, loop.Way, arguments);
                    return true;
                case VerifierForgetAttribute:
                    Push(_builder.Binary(Op.Forget, IrType.I64, arguments[0].Node, arguments[1].Node));
                    return true;
                case ArenaCastAttribute:
                    Push(_builder.Emit(new Node(Op.ArenaCast, IrType.Pointer) { Provenance = Provenance.MapValue }.With(arguments[0].Node)));
                    return true;
                case MapValueAttribute:
                    var map = (BpfMap)arguments[0].Node.Payload!;
                    Push(new Node(Op.MapValue, IrType.Pointer) { Payload = map, Provenance = Provenance.MapValue });
                    return true;
            }
        }

        var owner = method.DeclaringType!;
        if (owner == typeof(Monitor) || owner == typeof(Lock))
        {
            Fail(Rule.Exception, "a lock of the runtime is taken; a kernel program cannot wait for one: use Interlocked, a per-CPU map or BpfSpinLock");
            PushResult(_translator.Dead(method));
            return true;
        }

        return owner == typeof(Unsafe) ? UnsafeMethod((MethodInfo)method, arguments)
            : owner == typeof(Interlocked) ? InterlockedMethod((MethodInfo)method, arguments)
            : owner == typeof(BinaryPrimitives) && method.Name == nameof(BinaryPrimitives.ReverseEndianness) ? ReverseEndianness((MethodInfo)method, arguments)
            : owner == typeof(Math) && method.Name == nameof(Math.Abs) ? AbsoluteValue((MethodInfo)method, arguments)
            : owner == typeof(Type) ? TypeMethod(method, arguments)
            : LibraryMethod(method, arguments);
    }

    private bool PushConstant(long value)
    {
        Push(Node.Const(IrType.I32, value));
        return true;
    }

    private void CallHelper(MethodInfo method, KernelHelperAttribute helper, Entry[] arguments)
    {
        var parameters = method.GetParameters();
        var self = method.IsStatic ? 0 : 1;
        var operands = new Node[arguments.Length];
        var details = new HelperArgument[arguments.Length];
        if (arguments.Length > 5)
        {
            Fail(Rule.Internal, $"helper '{method.Name}' has more than five arguments");
            return;
        }

        BpfMap? map = null;
        FunctionEffects? callback = null;
        for (var i = 0; i < arguments.Length; i++)
        {
            var node = arguments[i].Node;
            if (i >= self && Callback.IsTaken(parameters[i - self]))
            {
                if (Callback.Find(_translator, parameters[i - self], node) is not { } function)
                {
                    PushResult(_translator.Dead(method));
                    return;
                }

                // What runs later changes nothing now.
                callback = function.Signature!.Use == FunctionUse.LaterCallback ? null : function.Effects;
                operands[i] = new Node(Op.FunctionAddress, IrType.Pointer) { Payload = function };
                continue;
            }

            if (node is { Op: Op.FrozenObject, Payload: BpfMap m })
            {
                map = m;
                operands[i] = Translator.MapReference(m);
                continue;
            }

            node = Materialize(node);
            if (i < self)
            {
                details[i] = Argument(method.DeclaringType!.MakeByRefType(), false);
                operands[i] = node;
                continue;
            }

            var parameter = parameters[i - self];
            var type = parameter.ParameterType;
            if (type.IsByRef)
            {
                details[i] = Argument(type, parameter.IsIn);
                operands[i] = node;
            }
            else if (type.IsPointer)
            {
                // By convention the size follows the pointer.
                var size = i + 1 < arguments.Length && arguments[i + 1].Node.IsConstant ? (int)arguments[i + 1].Node.Immediate : 0;
                details[i] = new HelperArgument(size, helper.Id is 25 or 130 or DynptrWrite);
                operands[i] = node;
            }
            else
            {
                operands[i] = node.Type != IrType.I32 ? node
                    : TypeLayout.IsSigned(type) ? _builder.SignExtend(node, 32, IrType.I64) : _builder.ZeroExtend(node);
            }
        }

        var returned = method.ReturnType;
        var isMap = typeof(BpfMap).IsAssignableFrom(returned);
        var isReference = returned.IsByRef || returned.IsPointer || isMap;
        var isValue = map is not null || (self == 1 && typeof(BpfMap).IsAssignableFrom(method.DeclaringType));
        var result = _builder.Emit(new Node(Op.Call, isReference ? IrType.Pointer : IrType.I64)
        {
            Immediate = helper.Id,
            ClobbersPacket = helper.ClobbersPacket || callback is { ClobbersPacket: true } || (helper.Id == DynptrWrite && _translator.LeadsToPackets),
            Provenance = isMap ? Provenance.Map : isReference && isValue ? Provenance.MapValue
                : returned.IsPointer && KernelLayouts.IsView(returned.GetElementType()) ? Provenance.Kernel : Provenance.None,
            Payload = new HelperCall(method.Name, details)
            {
                WritesContext = callback is { WritesContext: true },
                WritesMemory = callback is { WritesMemory: true } || helper.Id == DynptrWrite,
                Opens = helper.Acquires ? StackObject(details) : null,
                Closes = helper.Releases ? StackObject(details) : null,
            },
        }.With(operands));
        if (returned != typeof(void))
        {
            Push(!isReference && TypeLayout.ScalarOf(returned) == IrType.I32 ? _builder.Truncate(result) : result);
        }
    }

    /// <summary>How a call treats what it gets by reference.</summary>
    private static HelperArgument Argument(Type reference, bool isReadOnly)
    {
        var type = reference.GetElementType()!;
        if (!type.IsValueType || KernelLayouts.IsView(type) || FunctionCall.IsContextType(type))
        {
            return default;
        }

        var layout = TypeLayout.Of(type);
        return new HelperArgument(layout.Size, isReadOnly && !layout.HoldsKernelObject, layout.HoldsKernelObject);
    }

    private static int? StackObject(HelperArgument[] details) => Array.FindIndex(details, static d => d.Keeps) is >= 0 and var index ? index : null;

    private void ContextField(MethodInfo method, ContextFieldAttribute field, Entry[] arguments)
    {
        var isSetter = method.ReturnType == typeof(void);
        var offset = field.Offset;
        if (arguments.Length > (isSetter ? 2 : 1))
        {
            if (!arguments[1].Node.IsConstant)
            {
                Fail(Rule.NotConstant, $"the index of '{method.Name}' must be a constant");
                return;
            }

            offset += (int)arguments[1].Node.Immediate * field.Size;
        }

        if (isSetter)
        {
            var stored = arguments[^1].Node;
            _builder.Store(arguments[0].Node, offset, field.Size, field.Size < 8 ? _builder.Truncate(stored) : stored);
            return;
        }

        var isPointer = field.Value != ContextValue.Scalar || method.ReturnType.IsPointer;
        var type = isPointer ? IrType.Pointer : field.Size == 8 ? IrType.I64 : IrType.I32;
        var value = _builder.Emit(new Node(Op.Load, type)
        {
            Size = field.Size,
            Immediate = offset,
            Provenance = field.Value switch
            {
                ContextValue.Packet => Provenance.Packet,
                ContextValue.PacketEnd => Provenance.PacketEnd,
                ContextValue.PacketMeta => Provenance.PacketMeta,
                _ => isPointer ? Provenance.Kernel : Provenance.None,
            },
        }.With(arguments[0].Node));
        Push(type == IrType.I32 && TypeLayout.ScalarOf(method.ReturnType) == IrType.I64 ? _builder.ZeroExtend(value) : value);
    }

    private void TracepointArgument(MethodInfo method, Entry[] arguments)
    {
        if (!arguments[1].Node.IsConstant)
        {
            Fail(Rule.NotConstant, "the index of a tracepoint argument must be a constant");
            return;
        }

        var isPointer = method.ReturnType.IsPointer;
        Push(_builder.Emit(new Node(Op.Load, isPointer ? IrType.Pointer : IrType.I64)
        {
            Size = 8,
            Immediate = arguments[1].Node.Immediate * 8,
            Provenance = isPointer ? Provenance.Kernel : Provenance.None,
            Payload = TypedArgument(method.ReturnType, (int)arguments[1].Node.Immediate),
        }.With(arguments[0].Node)));
    }

    private bool ReverseEndianness(MethodInfo method, Entry[] arguments)
    {
        var type = method.ReturnType;
        var bits = Type.GetTypeCode(type) switch
        {
            TypeCode.Int16 or TypeCode.UInt16 => 16,
            TypeCode.Int32 or TypeCode.UInt32 => 32,
            TypeCode.Int64 or TypeCode.UInt64 => 64,
            _ => type == typeof(nint) || type == typeof(nuint) ? 64 : 0,
        };
        if (bits == 0)
        {
            return false;
        }

        var value = _builder.Emit(new Node(Op.ByteSwap, bits == 64 ? IrType.I64 : IrType.I32) { Immediate = bits }.With(arguments[0].Node));
        Push(type == typeof(short) ? _builder.SignExtend(value, 16, IrType.I32) : value);
        return true;
    }

    /// <summary>Without the exception for the smallest value, which stays itself as in two's complement.</summary>
    private bool AbsoluteValue(MethodInfo method, Entry[] arguments)
    {
        var type = TypeLayout.ScalarOf(method.ReturnType);
        if (type is null || TypeLayout.SizeOf(method.ReturnType) < 4)
        {
            return false;
        }

        var sign = _builder.Binary(Op.ShiftRightSigned, type.Value, arguments[0].Node, Node.Const(type.Value, type == IrType.I32 ? 31 : 63));
        Push(_builder.Binary(Op.Subtract, type.Value, _builder.Binary(Op.Xor, type.Value, arguments[0].Node, sign), sign));
        return true;
    }

    private bool TypeMethod(MethodBase method, Entry[] arguments)
    {
        switch (method.Name)
        {
            case nameof(Type.GetTypeFromHandle):
                _stack.Add(arguments[0]);
                return true;
            case "op_Equality":
                return PushConstant(arguments[0].Node.Payload == arguments[1].Node.Payload ? 1 : 0);
            case "op_Inequality":
                return PushConstant(arguments[0].Node.Payload == arguments[1].Node.Payload ? 0 : 1);
            case "get_IsValueType":
                return PushConstant(((Type)arguments[0].Node.Payload!).IsValueType ? 1 : 0);
            default:
                return false;
        }
    }

    private bool UnsafeMethod(MethodInfo method, Entry[] arguments)
    {
        var generic = method.IsGenericMethod ? method.GetGenericArguments() : [];
        switch (method.Name)
        {
            case nameof(Unsafe.As) when generic.Length == 2:
            case nameof(Unsafe.AsRef):
            case nameof(Unsafe.AsPointer):
                _stack.Add(arguments[0]);
                return true;
            case nameof(Unsafe.SizeOf):
                return PushConstant(Kernel.SizeOf(generic[0], _builder.Position));
            case nameof(Unsafe.NullRef):
                Push(Node.Const(IrType.Pointer, 0));
                return true;
            case nameof(Unsafe.IsNullRef):
                Push(_builder.Compare(Condition.Equal, arguments[0].Node, Node.Const(IrType.Pointer, 0)));
                return true;
            case nameof(Unsafe.AreSame):
                Push(_builder.Compare(Condition.Equal, arguments[0].Node, arguments[1].Node));
                return true;
            case nameof(Unsafe.SkipInit):
                return true;
            case nameof(Unsafe.Add):
            case nameof(Unsafe.Subtract):
            case nameof(Unsafe.AddByteOffset):
            case nameof(Unsafe.SubtractByteOffset):
            {
                var scale = method.Name.EndsWith("ByteOffset", StringComparison.Ordinal) ? 1 : Kernel.SizeOf(generic[0], _builder.Position);
                var count = arguments[1].Node;
                if (arguments[0].Node.Op == Op.FrozenStruct && !count.IsConstant)
                {
                    arguments[0] = new Entry(Table(ConstantTable.OfStruct(arguments[0].Node.Payload!)));
                }

                count = count.Type != IrType.I32 ? count : _builder.SignExtend(count, 32, IrType.I64);
                count = _builder.Binary(Op.Multiply, IrType.I64, count, Node.Const(IrType.I64, scale));
                Push(_builder.Binary(
                    method.Name.StartsWith("Add", StringComparison.Ordinal) ? Op.Add : Op.Subtract, IrType.Pointer, Materialize(arguments[0].Node), count));
                return true;
            }

            case nameof(Unsafe.ByteOffset):
                Push(_builder.Binary(Op.Subtract, IrType.I64, arguments[1].Node, arguments[0].Node));
                return true;
            case nameof(Unsafe.ReadUnaligned):
            case nameof(Unsafe.Read):
                _stack.Add(LoadObject(arguments[0].Node, generic[0]));
                return true;
            case nameof(Unsafe.WriteUnaligned):
            case nameof(Unsafe.Write):
                StoreObject(arguments[0].Node, arguments[1], generic[0]);
                return true;
            case nameof(Unsafe.BitCast):
            {
                var memory = _builder.Function.NewAlloca(Math.Max(TypeLayout.SizeOf(generic[0]), TypeLayout.SizeOf(generic[1])), "cast");
                StoreObject(memory, arguments[0], generic[0]);
                _stack.Add(LoadObject(memory, generic[1]));
                return true;
            }

            default:
                return false;
        }
    }

    private bool InterlockedMethod(MethodInfo method, Entry[] arguments)
    {
        var element = method.GetParameters()[0].ParameterType.GetElementType();
        if (element is null || TypeLayout.ScalarOf(element) is not { } type || TypeLayout.SizeOf(element) is var size && size < 4)
        {
            return false;
        }

        var address = Materialize(arguments[0].Node);
        Node Atomic(int operation, Node value, Node? comparand = null)
        {
            var node = new Node(Op.Atomic, type) { Size = size, Payload = operation }.With(address, value);
            if (comparand is not null)
            {
                node.AddOperand(comparand);
            }

            return _builder.Emit(node);
        }

        switch (method.Name)
        {
            case nameof(Interlocked.Add):
                Push(_builder.Binary(Op.Add, type, Atomic(OpCodes.AtomicAdd | OpCodes.AtomicFetch, arguments[1].Node), arguments[1].Node));
                return true;
            case nameof(Interlocked.Increment):
            case nameof(Interlocked.Decrement):
                var step = Node.Const(type, method.Name == nameof(Interlocked.Increment) ? 1 : -1);
                Push(_builder.Binary(Op.Add, type, Atomic(OpCodes.AtomicAdd | OpCodes.AtomicFetch, step), step));
                return true;
            case nameof(Interlocked.And):
                Push(Atomic(OpCodes.AtomicAnd | OpCodes.AtomicFetch, arguments[1].Node));
                return true;
            case nameof(Interlocked.Or):
                Push(Atomic(OpCodes.AtomicOr | OpCodes.AtomicFetch, arguments[1].Node));
                return true;
            case nameof(Interlocked.Exchange):
                Push(Atomic(OpCodes.AtomicXchg, arguments[1].Node));
                return true;
            case nameof(Interlocked.CompareExchange):
                Push(Atomic(OpCodes.AtomicCmpXchg, arguments[1].Node, arguments[2].Node));
                return true;
            default:
                return false;
        }
    }
}
