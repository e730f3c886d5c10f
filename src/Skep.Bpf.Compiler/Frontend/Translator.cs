using System.Reflection;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Compiler.Ir;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>What all inlined bodies of one function share.</summary>
internal sealed class Translator(CompileTarget target, ProgramKind kind, FunctionTable functions, Translator? caller = null)
{
    /// <summary>Deep enough for any sane call tree; a deeper one is recursion through generics.</summary>
    private const int DepthLimit = 64;

    private const int NodeLimit = 2_000_000;

    private readonly List<MethodBase> _active = [];
    private int _methods;

    public CompileTarget Target { get; } = target;

    /// <summary>What is compiled: it decides which helpers and fields there are.</summary>
    public ProgramKind Kind { get; } = kind;

    /// <summary>The functions of the program that are not inlined.</summary>
    public FunctionTable Functions { get; } = functions;

    public Builder Builder { get; private set; } = null!;

    /// <summary>The methods that are being translated, outermost first.</summary>
    private IEnumerable<MethodBase> Chain => caller is null ? _active : caller.Chain.Concat(_active);

    /// <summary>Translates the entry method of <paramref name="program"/>, everything it calls inlined.</summary>
    public Function Translate(BpfProgram program, MethodInfo entry)
    {
        var function = new Function(program.Name);
        Translate(function, () => Inline(entry, [new Entry(Frozen.ToNode(program, program.GetType())), new Entry(function.Context)]));
        return function;
    }

    /// <summary>Writes a function that returns what <paramref name="body"/> gives, or 0.</summary>
    public void Translate(Function function, Func<Entry?> body)
    {
        Builder = new Builder(function);
        var start = Builder.Current;
        Builder.Current = function.NewBlock();
        var result = body();
        Builder.Terminate(new Node(Op.Return, IrType.Void).With(result is { } value ? value.Node : Node.Const(IrType.I32, 0)));

        // The entry block has no predecessors: loops to the first instruction get a block of their own.
        start.Append(new Node(Op.Jump, IrType.Void)).Targets.Add(function.Blocks[1]);
        function.Normalize();
    }

    /// <summary>Translates a call in place. Null for methods that return nothing.</summary>
    public Entry? Inline(MethodBase method, ReadOnlySpan<Entry> arguments)
    {
        if (_active.Contains(method) || _active.Count >= DepthLimit || ++_methods > NodeLimit)
        {
            return Recursion(method);
        }

        var body = GetBody(method);
        if (body is null)
        {
            Builder.Trap(Rule.Unsupported, $"'{method.DeclaringType?.FullName}.{method.Name}' has no C# body to compile; call something written in C#, or a helper");
            return Dead(method);
        }

        _active.Add(method);
        var position = Builder.Position;
        try
        {
            return new MethodTranslator(this, method, body).Run(arguments);
        }
        finally
        {
            Builder.Position = position;
            _active.RemoveAt(_active.Count - 1);
        }
    }

    /// <summary>Refuses a call that would never end, and tells how it comes about.</summary>
    public Entry? Recursion(MethodBase method)
    {
        var chain = string.Join(" -> ", Chain.Append(method).Select(static m => $"{m.DeclaringType?.Name}.{m.Name}"));
        Builder.Trap(Rule.Recursion, $"'{method.DeclaringType?.Name}.{method.Name}' calls itself ({chain}); kernel programs cannot recurse, use a loop with a constant bound");
        return Dead(method);
    }

    /// <summary>A value for code that cannot be reached.</summary>
    public Entry? Dead(MethodBase method)
    {
        var type = (method as MethodInfo)?.ReturnType ?? typeof(void);
        if (type == typeof(void))
        {
            return null;
        }

        return Zero(type);
    }

    public Entry Zero(Type type) => TypeLayout.ScalarOf(type) is { } scalar
        ? new Entry(Node.Const(scalar, 0))
        : type.IsValueType
            ? new Entry(Builder.Function.NewAlloca(TypeLayout.SizeOf(type)), type)
            : new Entry(Node.Const(IrType.Pointer, 0));

    public static Node MapReference(BpfMap map) => new(Op.Map, IrType.Pointer) { Payload = map, Provenance = Provenance.Map };

    private static MethodBody? GetBody(MethodBase method)
    {
        try
        {
            return method.IsAbstract ? null : method.GetMethodBody();
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }
}

/// <summary>An entry of the IL evaluation stack.</summary>
/// <param name="Node">The value; for structs the address of a temporary that nothing writes any more, or a frozen struct.</param>
/// <param name="Struct">The type when the entry is a struct value, else null.</param>
internal readonly record struct Entry(Node Node, Type? Struct = null);
