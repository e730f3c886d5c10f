using System.Reflection;
using System.Reflection.Metadata;
using Skep.Bpf.Btf;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Compiler.Ir;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>Calls of kernel functions, found by name in the BTF of the kernel at hand.</summary>
internal sealed partial class MethodTranslator
{
    private void CallKernelFunction(MethodInfo method, KernelFunctionAttribute function, Entry[] arguments)
    {
        var types = Kernel.Require($"function {function.Name}", _builder.Position);
        if (types.Find(function.Name, BtfKind.Function) is not { } id)
        {
            Fail(Rule.KernelField, $"this kernel has no function {function.Name}; ask KernelType.Exists(\"{function.Name}\") before calling it");
            PushResult(_translator.Dead(method));
            return;
        }

        var wanted = types.Parameters(types[id].SizeOrType);
        if (wanted.Length != arguments.Length || arguments.Length > 5 || !method.IsStatic)
        {
            Fail(Rule.KernelField, $"'{method.Name}' has {arguments.Length} parameters, the kernel's {function.Name} has {wanted.Length}; declare it as a static method with the same ones, at most five");
            PushResult(_translator.Dead(method));
            return;
        }

        _translator.LeadsToPackets |= function.Name.StartsWith("bpf_dynptr_from_skb", StringComparison.Ordinal);
        var returned = method.ReturnType;
        var isPointer = returned.IsPointer || returned.IsByRef;
        var parameters = method.GetParameters();
        var operands = new Node[arguments.Length];
        var details = new HelperArgument[arguments.Length];
        for (var i = 0; i < arguments.Length; i++)
        {
            var type = parameters[i].ParameterType;
            if (Callback.IsTaken(parameters[i]))
            {
                if (Callback.Find(_translator, parameters[i], arguments[i].Node) is not { } callback)
                {
                    PushResult(_translator.Dead(method));
                    return;
                }

                operands[i] = new Node(Op.FunctionAddress, IrType.Pointer) { Payload = callback };
                continue;
            }

            if (arguments[i].Node is { Op: Op.FrozenObject, Payload: BpfMap map })
            {
                operands[i] = Translator.MapReference(map);
                continue;
            }

            var node = Materialize(arguments[i].Node);
            if (type.IsByRef || (type.IsPointer && type.GetElementType()!.GetCustomAttribute<KernelStructAttribute>() is { OnStack: true }))
            {
                details[i] = Argument(type, parameters[i].IsIn);
            }
            else if (type.IsPointer && i + 1 < arguments.Length && arguments[i + 1].Node.IsConstant)
            {
                // As for helpers; what the result may lead to stays in use.
                details[i] = new HelperArgument((int)arguments[i + 1].Node.Immediate, false, isPointer);
            }

            operands[i] = node.Type != IrType.I32 ? node : TypeLayout.IsSigned(type) ? _builder.SignExtend(node, 32, IrType.I64) : _builder.ZeroExtend(node);
        }

        var result = _builder.Emit(new Node(Op.Call, isPointer ? IrType.Pointer : IrType.I64)
        {
            Immediate = id,
            Provenance = returned.IsPointer && KernelLayouts.IsView(returned.GetElementType()) ? Provenance.Kernel : Provenance.None,
            Payload = new HelperCall(method.Name, details)
            {
                IsKernelFunction = true,
                KernelName = function.Name,
                WritesMemory = true,
                Acquires = function.Acquires && isPointer,
                Releases = function.Releases && StackObject(details) is null,
                Opens = function.Acquires && !isPointer ? StackObject(details) : null,
                Closes = function.Releases ? StackObject(details) : null,
            },
        }.With(operands));
        if (returned != typeof(void))
        {
            Push(isPointer ? result : Narrow(_builder, result, returned));
        }
    }

    /// <summary>A value from a 64-bit register of the kernel's calling convention: what lies above the type's width is anything.</summary>
    private static Node Narrow(Builder builder, Node word, Type type)
    {
        if (TypeLayout.ScalarOf(type) is IrType.I64 or IrType.Pointer)
        {
            return word;
        }

        var value = builder.Truncate(word);
        var bits = TypeLayout.SizeOf(type) * 8;
        return bits == 32 ? value
            : TypeLayout.IsSigned(type) ? builder.SignExtend(value, bits, IrType.I32)
            : builder.Binary(Op.And, IrType.I32, value, Node.Const(IrType.I32, (1L << bits) - 1));
    }

    /// <summary>The only strings a program has: names to ask about.</summary>
    private bool IsNameOfKernelFunction(IlInstruction il) =>
        _il.Find(i => i.Offset == il.Next) is { } next && (ILOpCode)(ushort)next.Code.Value == ILOpCode.Call
            && ResolveMethod(next).IsDefined(typeof(KernelQueryAttribute), false);

    /// <summary>
    /// Translates the body of a struct_ops member as a program: its parameters are the 64-bit words of the context. Parameters that this kernel
    /// does not pass are zero.
    /// </summary>
    public static Entry[] UnpackArguments(Translator translator, Node context, MethodInfo method, IReadOnlyList<(string Name, uint Type)> passed)
    {
        var builder = translator.Builder;
        var parameters = method.GetParameters();
        var missing = parameters.Length - passed.Count;
        var entries = new Entry[parameters.Length];
        var word = 0;
        for (var i = 0; i < parameters.Length; i++)
        {
            var type = parameters[i].ParameterType;
            var fits = word < passed.Count && type.IsPointer == translator.Kernel.IsPointer(passed[word].Type);
            if (!fits)
            {
                if (missing-- <= 0)
                {
                    throw new CompileException(
                        Rule.KernelField, $"'{method.DeclaringType!.Name}.{method.Name}': parameter {parameters[i].Name} does not fit what this kernel passes to the function", builder.Position);
                }

                entries[i] = translator.Zero(type);
                continue;
            }

            var view = type.IsPointer ? type.GetElementType()! : null;
            var load = builder.Emit(new Node(Op.Load, type.IsPointer ? IrType.Pointer : IrType.I64)
            {
                Size = 8,
                Immediate = word++ * 8,
                Provenance = type.IsPointer ? Provenance.Kernel : Provenance.None,
                Payload = KernelLayouts.IsView(view) && translator.Kernel.Find(view!, builder.Position) is { } id ? new KernelAccess(KernelLayouts.Describe(view!), id) : null,
            }.With(context));
            entries[i] = new Entry(type.IsPointer ? load : Narrow(builder, load, type));
        }

        return word == passed.Count ? entries : throw new CompileException(
            Rule.KernelField, $"'{method.DeclaringType!.Name}.{method.Name}' has {parameters.Length} parameters, this kernel passes {passed.Count}", builder.Position);
    }
}
