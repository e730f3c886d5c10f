using System.Reflection;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Compiler.Ir;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>
/// Calls of methods that become functions of their own. What is known of the arguments (objects, maps, frozen structs) becomes part of the function;
/// the rest is passed in registers R1 to R5, structs by the address of a copy.
/// </summary>
internal static class FunctionCall
{
    private const int MostArguments = 5;
    private static readonly MemberCache<Type, bool> s_contexts = new(static t => t.IsDefined(typeof(KernelContextAttribute), false));

    /// <summary>Whether the programmer wants a function. What the framework marks so is meant for the JIT.</summary>
    public static bool IsWanted(MethodBase method) =>
        IsGlobal(method) || ((method.MethodImplementationFlags & MethodImplAttributes.NoInlining) != 0 && method.Module.Assembly != typeof(object).Assembly);

    /// <summary>Calls the function for <paramref name="method"/>. Null for methods that return nothing.</summary>
    public static Entry? Emit(Translator translator, MethodBase method, Entry[] arguments)
    {
        var builder = translator.Builder;
        var layout = Layout.Of(method, arguments);
        if (layout.Refusal is { } refusal)
        {
            builder.Trap(Rule.Call, refusal);
            return translator.Dead(method);
        }

        if (Find(translator, method, arguments, layout) is not { } function)
        {
            return translator.Recursion(method);
        }

        var operands = new List<Node>();
        foreach (var (index, type) in layout.Passed)
        {
            var value = arguments[index].Node;
            operands.Add(value.Type != IrType.I32 || TypeLayout.ScalarOf(type) == IrType.I32 ? value : builder.SignExtend(value, 32, IrType.I64));
        }

        var memory = layout.StructResult is null ? null : builder.Function.NewAlloca(TypeLayout.SizeOf(layout.StructResult), layout.StructResult.Name);
        if (memory is not null)
        {
            operands.Add(memory);
        }

        var effects = function.Effects!;
        var isGlobal = function.Signature!.Use == FunctionUse.Global;
        var call = builder.Emit(new Node(Op.Call, isGlobal && layout.ResultType == IrType.I32 ? IrType.I64 : layout.ResultType)
        {
            ClobbersPacket = effects.ClobbersPacket,
            Provenance = effects.Result,
            Payload = new HelperCall(function.Name, effects.Arguments)
            {
                Target = function, WritesContext = effects.WritesContext, WritesMemory = effects.WritesMemory,
            },
        }.With([.. operands]));
        return memory is not null ? new Entry(memory, layout.StructResult) : layout.ResultType == IrType.Void ? null : new Entry(isGlobal && layout.ResultType == IrType.I32 ? builder.Truncate(call) : call);
    }

    private static Function? Find(Translator translator, MethodBase method, Entry[] arguments, Layout layout)
    {
        var known = Array.ConvertAll(arguments, static Node? (a) => a.Node);
        var parameters = new List<(string, Type)>();
        foreach (var (index, type) in layout.Passed)
        {
            known[index] = null;
            parameters.Add((layout.Names[index], type));
        }

        parameters.AddRange(layout.ResultParameter);
        var use = IsGlobal(method) ? FunctionUse.Global : FunctionUse.Static;
        return translator.Functions.Get(
            new FunctionKey(method, use, known),
            new FunctionSignature(method, layout.Result, parameters, use),
            function => Translate(translator, function, method, arguments, layout));
    }

    private static void Translate(Translator caller, Function function, MethodBase method, Entry[] arguments, Layout layout)
    {
        var entries = arguments.ToArray();
        foreach (var (index, type) in layout.Passed)
        {
            var scalar = TypeLayout.ScalarOf(type);
            var parameter = new Node(Op.Parameter, scalar ?? IrType.Pointer)
            {
                Immediate = function.Parameters.Count,
                Provenance = IsContext(type) ? Provenance.Context : Provenance.None,
            };
            function.Parameters.Add(parameter);
            entries[index] = new Entry(parameter, scalar is null ? type : null);
        }

        var inner = new Translator(caller.Target, caller.Kind, caller.Functions, caller);
        inner.Translate(function, () =>
        {
            if (function.Signature!.Use == FunctionUse.Global)
            {
                AssumeNothing(inner.Builder, function, layout, entries);
            }

            var result = inner.Inline(method, entries);
            if (layout.StructResult is null)
            {
                return result;
            }

            var target = new Node(Op.Parameter, IrType.Pointer) { Immediate = function.Parameters.Count };
            function.Parameters.Add(target);
            StructMemory.Store(inner.Builder, target, result!.Value, layout.StructResult);
            return null;
        });
    }

    /// <summary>
    /// The kernel assumes that anyone may call a global function with anything: a number of 32 bits may have rubbish above them,
    /// and a reference, never null in C#, may be null.
    /// </summary>
    private static void AssumeNothing(Builder builder, Function function, Layout layout, Entry[] entries)
    {
        for (var i = 0; i < layout.Passed.Count; i++)
        {
            var (parameter, index) = (function.Parameters[i], layout.Passed[i].Index);
            if (parameter.Type == IrType.I32)
            {
                parameter.Type = IrType.I64;
                entries[index] = new Entry(builder.Truncate(parameter));
            }
            else if (parameter.Type == IrType.Pointer && parameter.Provenance != Provenance.Context)
            {
                var (missing, present) = (builder.Function.NewBlock(), builder.Function.NewBlock());
                builder.Branch(Condition.Equal, parameter, Node.Const(IrType.Pointer, 0), missing, present);
                builder.Current = missing;
                builder.Terminate(new Node(Op.Return, IrType.Void).With(Node.Const(layout.ResultType == IrType.I64 ? IrType.I64 : IrType.I32, 0)));
                builder.Current = present;
            }
        }
    }

    private static bool IsGlobal(MethodBase method) => KnownMethod.Of(method).Has<GlobalFunctionAttribute>();

    /// <summary>Whether the type is what the kernel passes to a kind of program.</summary>
    public static bool IsContextType(Type type) => s_contexts.Of(type);

    private static bool IsContext(Type type) => type.IsByRef && IsContextType(type.GetElementType()!);

    /// <summary>Which arguments are passed, and how the result comes back.</summary>
    private sealed record Layout
    {
        public required string[] Names { get; init; }

        /// <summary>Arguments passed in registers, in order, with their C# types.</summary>
        public required List<(int Index, Type Type)> Passed { get; init; }

        public required Type Result { get; init; }

        /// <summary>The type of a result that is written through a hidden last argument.</summary>
        public Type? StructResult { get; init; }

        public IrType ResultType { get; init; }

        public string? Refusal { get; init; }

        public IEnumerable<(string, Type)> ResultParameter => StructResult is null ? [] : [("result", StructResult.MakeByRefType())];

        public static Layout Of(MethodBase method, Entry[] arguments)
        {
            var self = method.IsStatic ? 0 : 1;
            var parameters = method.GetParameters();
            var names = new string[arguments.Length];
            var passed = new List<(int, Type)>();
            for (var i = 0; i < arguments.Length; i++)
            {
                var type = i >= self ? parameters[i - self].ParameterType : method.DeclaringType!.IsValueType ? method.DeclaringType.MakeByRefType() : method.DeclaringType;
                names[i] = i >= self ? parameters[i - self].Name ?? $"argument{i}" : "this";
                var isObject = !type.IsValueType && !type.IsByRef && !type.IsPointer;
                if (!arguments[i].Node.IsFrozen && !(isObject && arguments[i].Node.IsConstant))
                {
                    // An object that is only known at run time is an inner map: a pointer.
                    passed.Add((i, isObject ? typeof(void*) : type));
                }
            }

            var result = (method as MethodInfo)?.ReturnType ?? typeof(void);
            var scalar = result == typeof(void) ? null : TypeLayout.ScalarOf(result);
            var isStruct = result != typeof(void) && scalar is null;
            return new Layout
            {
                Names = names,
                Passed = passed,
                Result = isStruct ? typeof(void) : result,
                StructResult = isStruct ? result : null,
                ResultType = scalar ?? IrType.Void,
                Refusal = Refuse(method, names, passed, isStruct, result),
            };
        }

        private static string? Refuse(MethodBase method, string[] names, List<(int Index, Type Type)> passed, bool isStruct, Type result)
        {
            var name = $"'{method.DeclaringType?.Name}.{method.Name}'";
            var count = passed.Count + (isStruct ? 1 : 0);
            if (count > MostArguments)
            {
                var list = string.Join(", ", passed.Select(p => names[p.Index])) + (isStruct ? ", the address of the result" : "");
                return $"{name} is a function of its own and takes {count} values ({list}), but only {MostArguments} fit in registers; "
                    + "put some in a struct that is passed by ref, or in readonly fields, or let the method be inlined";
            }

            if (isStruct && !result.IsValueType)
            {
                return $"{name} is a function of its own and returns an object; objects exist only at compile time, let the method be inlined";
            }

            if (!IsGlobal(method))
            {
                return null;
            }

            if (isStruct || result.IsPointer || result.IsByRef)
            {
                return $"{name} is a global function and returns {result.Name}; the kernel lets one return a number only: write to a struct that is passed by ref";
            }

            foreach (var (index, type) in passed)
            {
                if (type.IsPointer || (TypeLayout.ScalarOf(type) is null && type.IsByRefLike))
                {
                    return $"{name} is a global function and takes '{names[index]}' of type {type.Name}; the kernel verifies it without its callers, so it takes numbers, "
                        + "the context, and structs without pointers by ref: read packets through the context";
                }
            }

            return null;
        }
    }
}
