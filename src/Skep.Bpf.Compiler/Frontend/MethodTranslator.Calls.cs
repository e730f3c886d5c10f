using System.Reflection;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Compiler.Ir;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>Calls: which method is meant, then an intrinsic or the body in place.</summary>
internal sealed partial class MethodTranslator
{
    private void Call(IlInstruction il, bool isVirtual)
    {
        var method = ResolveMethod(il);
        var constrained = _constrained;
        _constrained = null;
        var count = KnownMethod.Of(method).Parameters.Length + (method.IsStatic ? 0 : 1);
        var arguments = _stack.GetRange(_stack.Count - count, count).ToArray();
        _stack.RemoveRange(_stack.Count - count, count);

        if (method.Name == nameof(Action.Invoke) && typeof(Delegate).IsAssignableFrom(method.DeclaringType))
        {
            CallValue(arguments[0].Node, arguments[1..]);
            return;
        }

        if (constrained is not null)
        {
            method = Dispatch.Find(constrained.IsValueType || method.IsStatic || arguments[0].Node.Op != Op.FrozenObject ? constrained : arguments[0].Node.Payload!.GetType(), method);
        }
        else if (!method.IsStatic && !method.DeclaringType!.IsValueType)
        {
            var self = arguments[0].Node;
            if (self.Op == Op.FrozenObject)
            {
                method = isVirtual ? Dispatch.Find(self.Payload!.GetType(), method) : method;
            }
            else if (self.IsConstant || !IsRuntimeMap(method))
            {
                Fail(
                    self.IsConstant ? Rule.NullReference : Rule.NotFrozen,
                    self.IsConstant
                        ? $"'{method.Name}' is called on a null reference; test the object for null first"
                        : $"'{method.Name}' is called on an object that is not known at compile time");
                PushResult(_translator.Dead(method));
                return;
            }
        }

        if (Intrinsic(method, arguments))
        {
            return;
        }

        PushResult(FunctionCall.IsWanted(method) ? FunctionCall.Emit(_translator, method, arguments) : _translator.Inline(method, arguments));
    }

    /// <summary>An inner map that the program looked up is known to the kernel only; what may be called on it is the same for all maps of its class.</summary>
    private static bool IsRuntimeMap(MethodBase method) => method is { IsVirtual: false } && typeof(BpfMap).IsAssignableFrom(method.DeclaringType);

    private void PushResult(Entry? result)
    {
        if (result is { } value)
        {
            _stack.Add(value);
        }
    }

    private void NewObject(IlInstruction il)
    {
        var constructor = ResolveMethod(il);
        var type = constructor.DeclaringType!;
        var count = KnownMethod.Of(constructor).Parameters.Length;
        var arguments = new Entry[count + 1];
        for (var i = count; i > 0; i--)
        {
            arguments[i] = Pop();
        }

        if (typeof(Delegate).IsAssignableFrom(type))
        {
            NewDelegate(arguments[1], arguments[2]);
            return;
        }

        if (type.Name.StartsWith("<>c__DisplayClass", StringComparison.Ordinal))
        {
            // It stands before the first line of the method.
            _builder.Position = _builder.Position.Line == 0 && _positions.Count > 0 ? _positions[0].Position : _builder.Position;
            Fail(Rule.Unsupported, "a lambda uses variables of the method around it, which needs an allocation; make it static and pass what it needs by ref, in a struct");
            Push(Node.Const(IrType.Pointer, 0));
            return;
        }

        if (!type.IsValueType)
        {
            Fail(
                typeof(Exception).IsAssignableFrom(type) ? Rule.Exception : Rule.Unsupported,
                typeof(Exception).IsAssignableFrom(type)
                    ? "an exception can be thrown here; a kernel program cannot throw: return a verdict, or make the condition impossible with a check before"
                    : $"a {type.Name} is allocated; kernel programs cannot allocate: use a struct, or a readonly field of the program");
            Push(Node.Const(IrType.Pointer, 0));
            return;
        }

        if (TypeLayout.HoldsObjects(type))
        {
            Fail(Rule.NotFrozen, $"a {type.Name} is made, which holds objects; objects exist only at compile time: keep it in a readonly field, or pass its parts");
            Push(Frozen.Null());
            return;
        }

        var memory = _builder.Function.NewAlloca(TypeLayout.SizeOf(type), type.Name);
        Zero(memory, type);
        arguments[0] = new Entry(memory);
        _translator.Inline(constructor, arguments);
        _stack.Add(TypeLayout.ScalarOf(type) is null ? new Entry(memory, type) : new Entry(LoadScalar(memory, 0, type)));
    }
}
