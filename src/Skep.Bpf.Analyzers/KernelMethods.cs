using System.Collections.Generic;
using System.Linq;
using System.Threading;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;

namespace Skep.Bpf.Analyzers;

/// <summary>The methods of a compilation that become kernel code: what programs override of their base class, and what that calls.</summary>
internal sealed class KernelMethods
{
    private const string ProgramType = "Skep.Bpf.Programming.BpfProgram";

    // Other attributes of ours mark what the compiler has code of its own for: such bodies are what the twin runs.
    private static readonly HashSet<string> s_compiled = ["GlobalFunctionAttribute", "OnlyForAttribute"];

    private readonly Compilation _compilation;
    private readonly CancellationToken _cancellation;
    private readonly Dictionary<IMethodSymbol, HashSet<IMethodSymbol>> _calls = new(SymbolEqualityComparer.Default);
    private readonly List<INamedTypeSymbol> _types = [];

    private KernelMethods(Compilation compilation, CancellationToken cancellation)
    {
        _compilation = compilation;
        _cancellation = cancellation;
        Collect(compilation.Assembly.GlobalNamespace);
    }

    /// <summary>The methods of <paramref name="compilation"/>; null when it has no programs.</summary>
    public static KernelMethods? Find(Compilation compilation, CancellationToken cancellation)
    {
        if (compilation.GetTypeByMetadataName(ProgramType) is not { } program)
        {
            return null;
        }

        var methods = new KernelMethods(compilation, cancellation);
        foreach (var type in methods._types.Where(t => InheritsFrom(t, program)))
        {
            foreach (var method in type.GetMembers().OfType<IMethodSymbol>().Where(IsEntry))
            {
                methods.Walk(method);
            }
        }

        return methods._calls.Count == 0 ? null : methods;
    }

    /// <summary>Whether <paramref name="symbol"/> is compiled for the kernel; what is inside a local function or lambda belongs to the method around it.</summary>
    public bool Contains(ISymbol symbol)
    {
        for (var at = symbol; at is IMethodSymbol method; at = at.ContainingSymbol)
        {
            if (_calls.ContainsKey(method.OriginalDefinition))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether a call of <paramref name="callee"/> in <paramref name="caller"/> can lead back to the caller.</summary>
    public bool IsRecursive(IMethodSymbol caller, IMethodSymbol callee)
    {
        var seen = new HashSet<IMethodSymbol>(SymbolEqualityComparer.Default);
        var open = new Stack<IMethodSymbol>([callee.OriginalDefinition]);
        while (open.Count > 0)
        {
            var method = open.Pop();
            if (SymbolEqualityComparer.Default.Equals(method, caller.OriginalDefinition))
            {
                return true;
            }

            // Through an interface the objects decide which method is meant: the compiler sees them, nobody else.
            if (!seen.Add(method) || method.IsVirtual || method.IsAbstract || method.IsOverride || !_calls.TryGetValue(method, out var next))
            {
                continue;
            }

            foreach (var called in next)
            {
                open.Push(called);
            }
        }

        return false;
    }

    private static bool IsEntry(IMethodSymbol method)
    {
        var root = method;
        while (root.OverriddenMethod is { } overridden)
        {
            root = overridden;
        }

        return method.IsOverride && method.MethodKind == MethodKind.Ordinary && root.IsAbstract && root.ContainingAssembly.Name == "Skep.Bpf";
    }

    private static bool IsReplaced(ISymbol symbol) => symbol.GetAttributes()
        .Any(a => a.AttributeClass is { ContainingAssembly.Name: "Skep.Bpf" } kind && !s_compiled.Contains(kind.Name));

    private static bool InheritsFrom(INamedTypeSymbol type, INamedTypeSymbol ancestor)
    {
        for (var at = type.BaseType; at is not null; at = at.BaseType)
        {
            if (SymbolEqualityComparer.Default.Equals(at, ancestor))
            {
                return true;
            }
        }

        return false;
    }

    private void Collect(INamespaceOrTypeSymbol symbol)
    {
        foreach (var member in symbol.GetMembers().OfType<INamespaceOrTypeSymbol>())
        {
            if (member is INamedTypeSymbol type)
            {
                _types.Add(type);
            }

            Collect(member);
        }
    }

    private void Walk(IMethodSymbol method)
    {
        method = method.OriginalDefinition;
        if (_calls.ContainsKey(method) || IsReplaced(method) || method.AssociatedSymbol is { } property && IsReplaced(property))
        {
            return;
        }

        _cancellation.ThrowIfCancellationRequested();
        var called = new HashSet<IMethodSymbol>(SymbolEqualityComparer.Default);
        if (method.DeclaringSyntaxReferences.IsEmpty)
        {
            return;
        }

        _calls[method] = called;
        foreach (var reference in method.DeclaringSyntaxReferences)
        {
            var syntax = reference.GetSyntax(_cancellation);
#pragma warning disable RS1030 // The set must be known before the first body is looked at; models of trees are cached by the compilation.
            if (_compilation.ContainsSyntaxTree(syntax.SyntaxTree) && _compilation.GetSemanticModel(syntax.SyntaxTree).GetOperation(syntax, _cancellation) is { } body)
#pragma warning restore RS1030
            {
                called.UnionWith(body.DescendantsAndSelf().SelectMany(CalledBy).Select(m => m.OriginalDefinition));
            }
        }

        foreach (var callee in called.ToArray())
        {
            Walk(callee);
            if (callee.IsAbstract || callee.IsVirtual || callee.IsOverride)
            {
                foreach (var implementation in ImplementationsOf(callee))
                {
                    Walk(implementation);
                }
            }
        }
    }

    private static IEnumerable<IMethodSymbol> CalledBy(IOperation operation) => operation switch
    {
        IInvocationOperation call => [call.TargetMethod],
        IObjectCreationOperation { Constructor: { } constructor } creation when creation.Type is { IsValueType: true } => [constructor],
        IPropertyReferenceOperation property => [.. new[] { property.Property.GetMethod, property.Property.SetMethod }.OfType<IMethodSymbol>()],
        IBinaryOperation { OperatorMethod: { } method } => [method],
        IUnaryOperation { OperatorMethod: { } method } => [method],
        IConversionOperation { OperatorMethod: { } method } => [method],
        ICompoundAssignmentOperation { OperatorMethod: { } method } => [method],
        IIncrementOrDecrementOperation { OperatorMethod: { } method } => [method],
        IMethodReferenceOperation reference => [reference.Method],
        _ => [],
    };

    private IEnumerable<IMethodSymbol> ImplementationsOf(IMethodSymbol method)
    {
        foreach (var type in _types)
        {
            if (method.ContainingType.TypeKind == TypeKind.Interface)
            {
                foreach (var face in type.AllInterfaces.Where(i => SymbolEqualityComparer.Default.Equals(i.OriginalDefinition, method.ContainingType)))
                {
                    var member = face.GetMembers(method.Name).OfType<IMethodSymbol>().FirstOrDefault(m => SymbolEqualityComparer.Default.Equals(m.OriginalDefinition, method));
                    if (member is not null && type.FindImplementationForInterfaceMember(member) is IMethodSymbol implementation)
                    {
                        yield return implementation;
                    }
                }
            }
            else
            {
                foreach (var member in type.GetMembers(method.Name).OfType<IMethodSymbol>())
                {
                    for (var at = member.OverriddenMethod; at is not null; at = at.OverriddenMethod)
                    {
                        if (SymbolEqualityComparer.Default.Equals(at.OriginalDefinition, method))
                        {
                            yield return member;
                            break;
                        }
                    }
                }
            }
        }
    }
}
