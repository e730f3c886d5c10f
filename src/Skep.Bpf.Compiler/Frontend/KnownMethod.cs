using System.Reflection;
using System.Runtime.CompilerServices;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>What reflection says of a method, asked once: it is slow to answer, and a method is inlined many times. Shared by all compilations.</summary>
internal sealed class KnownMethod
{
    private static readonly MemberCache<MethodBase, KnownMethod> s_methods = new(static m => new KnownMethod(m));

    private readonly MethodBase _method;
    private readonly Lazy<MethodCode?> _code;

    private KnownMethod(MethodBase method)
    {
        _method = method;
        var parameters = method.GetParameters();
        Parameters = new Type[parameters.Length];
        for (var i = 0; i < parameters.Length; i++)
        {
            Parameters[i] = parameters[i].ParameterType;
        }

        Attributes = method.GetCustomAttributes(false);
        _code = new Lazy<MethodCode?>(() => MethodCode.Read(_method, null));
    }

    /// <summary>Types of the parameters, without the receiver.</summary>
    public Type[] Parameters { get; }

    /// <summary>The attributes of the method itself.</summary>
    public object[] Attributes { get; }

    /// <summary>What it consists of; null when there is no C# body.</summary>
    public MethodCode? Code => _code.Value;

    public static KnownMethod Of(MethodBase method) => s_methods.Of(method);

    public bool Has<T>() => Array.Exists(Attributes, static a => a is T);
}

/// <summary>The body of a method, decoded.</summary>
internal sealed class MethodCode
{
    private readonly Module _module;
    private readonly Type[]? _typeArguments;
    private readonly Type[]? _methodArguments;

    // By the number of the instruction that names it.
    private readonly MemberInfo?[] _members;

    private MethodCode(MethodBase method, MethodBody body, byte[]? il)
    {
        _module = method.Module;
        _typeArguments = method.DeclaringType is { IsGenericType: true } type ? type.GetGenericArguments() : null;
        _methodArguments = method.IsGenericMethod ? method.GetGenericArguments() : null;
        Il = DelegateCaches.Remove(IlReader.Read(il ?? body.GetILAsByteArray()), method);
        _members = new MemberInfo?[Il.Count];

        // What a program calls of the kernel library is, for its author, the line that calls it.
        Positions = method.Module == typeof(BpfProgram).Module ? [] : SourceMap.Read(method);
        Clauses = [.. body.ExceptionHandlingClauses];
        Locals = new Type[body.LocalVariables.Count];
        for (var i = 0; i < Locals.Length; i++)
        {
            Locals[i] = body.LocalVariables[i].LocalType;
        }

        IsStateMachine = method.IsDefined(typeof(StateMachineAttribute), true);
    }

    public List<IlInstruction> Il { get; }

    /// <summary>Lines of C# by IL offset, in order.</summary>
    public List<(int Offset, SourcePosition Position)> Positions { get; }

    public ExceptionHandlingClause[] Clauses { get; }

    /// <summary>Types of the local variables.</summary>
    public Type[] Locals { get; }

    /// <summary>Whether the body only makes an object that does the work: async methods and iterators.</summary>
    public bool IsStateMachine { get; }

    /// <summary>Reads a body, or other IL in its place; null when there is none.</summary>
    public static MethodCode? Read(MethodBase method, byte[]? il)
    {
        try
        {
            return !method.IsAbstract && method.GetMethodBody() is { } body ? new MethodCode(method, body, il) : null;
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    public Type Type(IlInstruction il) => (Type)(_members[il.Index] ??= _module.ResolveType((int)il.Operand, _typeArguments, _methodArguments));

    public FieldInfo Field(IlInstruction il) => (FieldInfo)(_members[il.Index] ??= _module.ResolveField((int)il.Operand, _typeArguments, _methodArguments)!);

    public MethodBase Method(IlInstruction il) => (MethodBase)(_members[il.Index] ??= _module.ResolveMethod((int)il.Operand, _typeArguments, _methodArguments)!);

    public MemberInfo? Member(IlInstruction il) => _members[il.Index] ??= _module.ResolveMember((int)il.Operand, _typeArguments, _methodArguments);
}
