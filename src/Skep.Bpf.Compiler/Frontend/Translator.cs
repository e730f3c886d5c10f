using System.Reflection;
using System.Runtime.CompilerServices;
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
    private const int DepthLimit = 200;

    private readonly List<(MethodBase Method, Entry[] Arguments)> _active = [];
    private int _instructions;

    /// <summary>The program that is translated.</summary>
    public BpfProgram Program { get; private set; } = caller?.Program!;

    public KernelLayouts Kernel { get; } = caller?.Kernel ?? new(target.KernelBtf);

    public CompileTarget Target { get; } = target;

    /// <summary>What is compiled: it decides which helpers and fields there are.</summary>
    public ProgramKind Kind { get; } = kind;

    /// <summary>The functions of the program that are not inlined.</summary>
    public FunctionTable Functions { get; } = functions;

    public Builder Builder { get; private set; } = null!;

    /// <summary>Whether some dynptr leads to a packet: writing through one may move the packet.</summary>
    public bool LeadsToPackets { get; set; } = caller?.LeadsToPackets ?? false;

    /// <summary>The methods that are being translated, outermost first.</summary>
    private IEnumerable<MethodBase> Chain => caller is null ? _active.Select(static a => a.Method) : caller.Chain.Concat(_active.Select(static a => a.Method));

    /// <summary>The variable that lives in a stack slot: which plan it belongs to, and its number, -1 when its address is taken.</summary>
    public Dictionary<Node, (TrackingPlan Plan, int Slot)> Owners { get; } = [];

    /// <summary>Translates the entry method of <paramref name="program"/>, everything it calls inlined.</summary>
    public Function Translate(BpfProgram program, MethodInfo entry) => Translate(program, entry, static context => [new Entry(context)], program.Name);

    private Function Translate(BpfProgram program, MethodInfo entry, Func<Node, Entry[]> arguments, string name)
    {
        Program = program;
        var function = new Function(name);
        Translate(function, () => Inline(entry, [new Entry(Frozen.ToNode(program, program.GetType())), .. arguments(function.Context)]));
        Target.Translated?.Invoke(_instructions);
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

    /// <summary>Translates a method that the kernel calls with the given parameters, which stand in the context as 64-bit words.</summary>
    public Function TranslateMember(BpfProgram program, MethodInfo entry, IReadOnlyList<(string Name, uint Type)> passed, string name) =>
        Translate(program, entry, context => MethodTranslator.UnpackArguments(this, context, entry, passed), name);

    /// <summary>Translates a call in place. Null for methods that return nothing.</summary>
    public Entry? Inline(MethodBase method, ReadOnlySpan<Entry> arguments)
    {
        if (_active.Count >= DepthLimit || Recurs(method, arguments))
        {
            return Recursion(method);
        }

        if (CodeOf(method) is not { } code)
        {
            Builder.Trap(Rule.Unsupported, $"'{method.DeclaringType?.FullName}.{method.Name}' has no C# body to compile; call something written in C#, or a helper");
            return Dead(method);
        }

        if (code.IsStateMachine)
        {
            Builder.Trap(Rule.Unsupported, $"'{method.DeclaringType?.Name}.{method.Name}' is async or an iterator; a kernel program can neither wait nor be resumed: return a value, and wait in the agent");
            return Dead(method);
        }

        var depth = _active.Count;
        _active.Add((method, arguments.ToArray()));
        var start = Builder.Mark();
        var plan = new TrackingPlan(depth);
        while (true)
        {
            try
            {
                var result = new MethodTranslator(this, method, code, plan).Run(arguments);
                _active.RemoveAt(depth);
                plan.IsActive = false;
                Builder.Position = start.Position;
                return result;
            }
            catch (TranslationRestart restart) when (restart.Plan == plan)
            {
                _active.RemoveRange(depth + 1, _active.Count - depth - 1);
                Builder.Reset(start);
            }
            catch (Exception e) when (e is not (CompileException or TranslationRestart or OutOfMemoryException))
            {
                // No C# compiler writes what makes no sense: an unknown token, a jump into an instruction, an empty stack.
                throw Senseless(method, e);
            }
        }
    }

    /// <summary>Counts translated instructions against what a program may have.</summary>
    public void Spend(int instructions, SourcePosition position)
    {
        _instructions += instructions;
        if (_instructions > Target.MostInstructions)
        {
            throw new CompileException(
                Rule.TooLarge,
                $"the program is more than {Target.MostInstructions} IL instructions once calls are inlined and loops over objects unrolled; hold fewer objects, or keep their values in an array or a map and loop over that",
                position);
        }
    }

    /// <summary>Refuses a call that would never end, and tells how it comes about.</summary>
    public Entry? Recursion(MethodBase method)
    {
        var chain = string.Join(" -> ", Chain.Append(method).Select(static m => $"{m.DeclaringType?.Name}.{m.Name}"));
        Builder.Trap(Rule.Recursion, $"'{method.DeclaringType?.Name}.{method.Name}' calls itself ({chain}); kernel programs cannot recurse, use a loop with a constant bound");
        return Dead(method);
    }

    /// <summary>A call inside the same method is recursion unless an object or constant among the arguments differs: a walk down a tree of objects ends.</summary>
    private bool Recurs(MethodBase method, ReadOnlySpan<Entry> arguments)
    {
        foreach (var (active, values) in _active)
        {
            if (active != method)
            {
                continue;
            }

            var differs = false;
            for (var i = 0; i < values.Length && i < arguments.Length; i++)
            {
                var (a, b) = (values[i].Node, arguments[i].Node);
                differs |= (a.IsFrozen && b.IsFrozen && !Frozen.IsSame(a.Payload, b.Payload)) || (a.IsConstant && b.IsConstant && a.Immediate != b.Immediate)
                    || (Frozen.IsKnown(a) && Frozen.IsKnown(b) && a.Op != b.Op);
            }

            if (!differs)
            {
                return true;
            }
        }

        return false;
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

    private MethodCode? CodeOf(MethodBase method)
    {
        try
        {
            // Of damaged IL, which is tried to see what comes of it, nothing is kept.
            return Target.BodyOf?.Invoke(method) is { } il ? MethodCode.Read(method, il) : KnownMethod.Of(method).Code;
        }
        catch (Exception e) when (e is not (CompileException or OutOfMemoryException))
        {
            throw Senseless(method, e);
        }
    }

    private CompileException Senseless(MethodBase method, Exception e) => new(
        Rule.InvalidIl,
        $"the IL of '{method.DeclaringType?.Name}.{method.Name}' makes no sense to the compiler ({e.Message.TrimEnd('.')}); build the assembly anew with the C# compiler, and report it if that does not help",
        Builder.Position);
}

/// <summary>An entry of the IL evaluation stack.</summary>
/// <param name="Node">The value; for structs the address of a temporary that nothing writes any more, or a frozen struct.</param>
/// <param name="Struct">The type when the entry is a struct value, else null.</param>
internal readonly record struct Entry(Node Node, Type? Struct = null);
