using System.Reflection;
using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>
/// The functions of one program beside its main one: each method once for every set of objects it is called with.
/// A function is optimised before its caller goes on, so that the caller knows what the call does.
/// </summary>
internal sealed class FunctionTable(CompileTarget target)
{
    private readonly Dictionary<FunctionKey, Function?> _functions = [];
    private readonly Dictionary<string, int> _names = [];

    /// <summary>The function for a method and what of its arguments is known; null while it is being translated: it calls itself.</summary>
    /// <param name="key">What tells it from others.</param>
    /// <param name="signature">How it is declared.</param>
    /// <param name="translate">Writes its body.</param>
    public Function? Get(FunctionKey key, FunctionSignature signature, Action<Function> translate)
    {
        if (_functions.TryGetValue(key, out var known))
        {
            return known;
        }

        _functions.Add(key, null);
        var function = new Function(NameOf(signature.Method)) { Signature = signature };
        translate(function);
        Pipeline.Run(function, target);
        function.Effects = Effects.Of(function);
        _functions[key] = function;
        return function;
    }

    /// <summary>Local functions and lambdas have names such as <c>&lt;Run&gt;g__Hash|3_0</c>; what the programmer wrote is in them.</summary>
    private string NameOf(MethodBase method)
    {
        var name = method.Name;
        if (name.StartsWith('<'))
        {
            var local = name.IndexOf("g__", StringComparison.Ordinal);
            var outer = name[1..name.IndexOf('>')];
            name = local < 0 ? outer + "_lambda" : name[(local + 3)..name.IndexOf('|')];
        }

        var number = _names[name] = _names.GetValueOrDefault(name) + 1;
        return number == 1 ? name : $"{name}_{number}";
    }
}

/// <summary>What makes a function another one: the method, type arguments included, and the objects among its arguments.</summary>
internal sealed class FunctionKey(MethodBase method, FunctionUse use, Node?[] known) : IEquatable<FunctionKey>
{
    public MethodBase Method { get; } = method;

    private FunctionUse Use { get; } = use;

    private Node?[] Known { get; } = known;

    public bool Equals(FunctionKey? other)
    {
        var equal = other is not null && Method == other.Method && Use == other.Use && Known.Length == other.Known.Length;
        for (var i = 0; i < Known.Length && equal; i++)
        {
            equal = Same(Known[i], other!.Known[i]);
        }

        return equal;
    }

    public override bool Equals(object? obj) => Equals(obj as FunctionKey);

    public override int GetHashCode() => Method.GetHashCode();

    private static bool Same(Node? a, Node? b) =>
        a is null || b is null
            ? a is null && b is null
            : a.Op == b.Op && a.Immediate == b.Immediate && Same(a.Payload, b.Payload);

    /// <summary>Objects by identity, frozen structs field by field: each reading of a field boxes the struct anew.</summary>
    private static bool Same(object? a, object? b)
    {
        if (ReferenceEquals(a, b))
        {
            return true;
        }

        if (a is null || b is null || a.GetType() != b.GetType())
        {
            return false;
        }

        var type = a.GetType();
        return a is FunctionValue f && b is FunctionValue g ? f.Method == g.Method && ReferenceEquals(f.Receiver, g.Receiver)
            : type.IsPrimitive || type.IsEnum ? a.Equals(b)
            : type.IsValueType && type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic).All(f => Same(f.GetValue(a), f.GetValue(b)));
    }
}

