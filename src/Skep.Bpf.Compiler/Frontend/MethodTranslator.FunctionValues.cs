using System.Reflection;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>Function pointers and delegates, which exist only at compile time: a call through one is a call of the method, in place.</summary>
internal sealed partial class MethodTranslator
{
    /// <summary><c>ldftn</c> and <c>ldvirtftn</c>.</summary>
    private void LoadFunction(IlInstruction il, bool isVirtual)
    {
        var method = ResolveMethod(il);
        if (isVirtual && Pop().Node is { Op: Op.FrozenObject, Payload: { } receiver })
        {
            method = Dispatch.Find(receiver.GetType(), method);
        }

        Push(FunctionValue.Leaf(method, null));
    }

    private void NewDelegate(Entry target, Entry function)
    {
        if (FunctionValue.Of(function.Node) is not { } value || !(target.Node.Op == Op.FrozenObject || target.Node.IsConstantValue(0)))
        {
            Fail(Rule.NotFrozen, "a delegate is made of a method or object that is not known at compile time; use a static lambda, and pass what it needs by ref");
            Push(Node.Const(IrType.Pointer, 0));
            return;
        }

        Push(FunctionValue.Leaf(value.Method, target.Node.Payload));
    }

    /// <summary><c>calli</c>, and <c>Invoke</c> of a delegate.</summary>
    private void CallValue(Node function, Entry[] arguments)
    {
        if (FunctionValue.Of(function) is not { } value)
        {
            Fail(Rule.NotFrozen, "a function pointer or delegate is called that is not known at compile time; call each method in its own branch");
            return;
        }

        Entry[] all = value.Method.IsStatic ? arguments : [new Entry(Frozen.ToNode(value.Receiver, value.Receiver!.GetType())), .. arguments];
        if (!Intrinsic(value.Method, all))
        {
            PushResult(FunctionCall.IsWanted(value.Method) ? FunctionCall.Emit(_translator, value.Method, all) : _translator.Inline(value.Method, all));
        }
    }

    private void CallIndirect()
    {
        var function = Pop().Node;
        var count = FunctionValue.Of(function) is { } value ? value.Method.GetParameters().Length : 0;
        var arguments = _stack.GetRange(_stack.Count - count, count).ToArray();
        _stack.RemoveRange(_stack.Count - count, count);
        CallValue(function, arguments);
    }
}
