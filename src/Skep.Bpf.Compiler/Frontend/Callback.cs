using System.Reflection;
using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Compiler.Ir;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>Makes functions of what helpers call back: lambdas, methods and function pointers that are known at compile time.</summary>
internal static class Callback
{
    private const int MostArguments = 5;

    /// <summary>Whether a helper takes a function there.</summary>
    public static bool IsTaken(ParameterInfo parameter) =>
        typeof(Delegate).IsAssignableFrom(parameter.ParameterType) || parameter.ParameterType.IsFunctionPointer;

    /// <summary>The function for an argument of a helper; null after an error.</summary>
    public static Function? Find(Translator translator, ParameterInfo parameter, Node argument)
    {
        if (FunctionValue.Of(argument) is not { } value)
        {
            translator.Builder.Trap(
                Rule.NotFrozen, $"'{parameter.Name}' must be a lambda or method that is known at compile time: write it at the call, or keep the delegate in a readonly field");
            return null;
        }

        var attribute = parameter.GetCustomAttribute<KernelCallbackAttribute>() ?? new KernelCallbackAttribute();
        var parameters = value.Method.GetParameters();
        if (parameters.Length + attribute.Skip > MostArguments)
        {
            translator.Builder.Trap(Rule.Call, $"'{value.Method.Name}' takes more than the kernel passes to a callback");
            return null;
        }

        var use = attribute.RunsLater ? FunctionUse.LaterCallback : FunctionUse.Callback;
        var receiver = value.Method.IsStatic ? null : Frozen.ToNode(value.Receiver, value.Receiver!.GetType());
        var skipped = Enumerable.Range(0, attribute.Skip).Select(static i => ($"kernel{i}", typeof(void*)));
        var function = translator.Functions.Get(
            new FunctionKey(value.Method, use, [receiver]),
            new FunctionSignature(value.Method, typeof(long), [.. skipped, .. parameters.Select(static p => (p.Name ?? "", p.ParameterType))], use),
            f => Translate(translator, f, value.Method, receiver, attribute));
        if (function is null)
        {
            translator.Recursion(value.Method);
        }

        return function;
    }

    private static void Translate(Translator caller, Function function, MethodBase method, Node? receiver, KernelCallbackAttribute how)
    {
        var inner = new Translator(caller.Target, caller.Kind, caller.Functions, caller);
        for (var i = 0; i < how.Skip; i++)
        {
            function.Parameters.Add(new Node(Op.Parameter, IrType.Pointer) { Immediate = i });
        }

        inner.Translate(function, () =>
        {
            var entries = new List<Entry>();
            if (receiver is not null)
            {
                entries.Add(new Entry(receiver));
            }

            foreach (var parameter in method.GetParameters())
            {
                // The kernel passes 64 bits; that the upper half of a narrower number is zero is not known to the verifier.
                var scalar = TypeLayout.ScalarOf(parameter.ParameterType);
                var node = new Node(Op.Parameter, scalar == IrType.I32 ? IrType.I64 : scalar ?? IrType.Pointer) { Immediate = function.Parameters.Count };
                function.Parameters.Add(node);
                entries.Add(new Entry(scalar == IrType.I32 ? inner.Builder.Truncate(node) : node));
            }

            if (how.TakesRecord)
            {
                var record = method.GetParameters()[0].ParameterType.GetElementType()!;
                var index = entries.Count - method.GetParameters().Length;
                entries[index] = new Entry(Record(inner.Builder, entries[index].Node, TypeLayout.SizeOf(record)));
            }

            return inner.Inline(method, [.. entries]) is { } result ? new Entry(ZeroOrOne(inner.Builder, result.Node)) : null;
        });
    }

    /// <summary>The bytes that a dynptr leads to; the function ends, and says to go on, when there are fewer.</summary>
    private static Node Record(Builder builder, Node pointer, int size)
    {
        const int DynptrData = 203;
        var data = builder.Emit(new Node(Op.Call, IrType.Pointer)
        {
            Immediate = DynptrData, Payload = new HelperCall("bpf_dynptr_data", new HelperArgument[3]),
        }.With(pointer, Node.Const(IrType.I64, 0), Node.Const(IrType.I64, size)));
        var (missing, present) = (builder.Function.NewBlock(), builder.Function.NewBlock());
        builder.Branch(Condition.Equal, data, Node.Const(IrType.Pointer, 0), missing, present);
        builder.Current = missing;
        builder.Terminate(new Node(Op.Return, IrType.Void).With(Node.Const(IrType.I32, 0)));
        builder.Current = present;
        return data;
    }

    /// <summary>The verifier lets a callback return 0 or 1 only, and must see that it does.</summary>
    private static Node ZeroOrOne(Builder builder, Node result) =>
        result.IsConstant || KnownBits.VerifiedBits(result) <= 1 ? result : builder.Compare(Condition.NotEqual, result, Node.Const(result.Type, 0));
}
