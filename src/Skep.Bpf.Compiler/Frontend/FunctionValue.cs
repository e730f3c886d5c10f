using System.Reflection;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>A method as a value: what a function pointer or a delegate refers to. It is always known at compile time.</summary>
/// <param name="Method">The method.</param>
/// <param name="Receiver">The object it is called on; null for static methods.</param>
internal sealed record FunctionValue(MethodBase Method, object? Receiver)
{
    /// <summary>The method behind a frozen function pointer or delegate, or null when the node is none.</summary>
    public static FunctionValue? Of(Node node) => node is not { Op: Op.FrozenObject } ? null
        : node.Payload as FunctionValue ?? (node.Payload is Delegate { HasSingleTarget: true } d ? new FunctionValue(d.Method, d.Target) : null);

    public static Node Leaf(MethodBase method, object? receiver) => new(Op.FrozenObject, IrType.Pointer) { Payload = new FunctionValue(method, receiver) };
}
