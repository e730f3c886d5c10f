using Microsoft.CodeAnalysis;

namespace Skep.Bpf.Analyzers;

/// <summary>What can be seen while typing of the rules of the compiler, under the same numbers. The compiler decides for certain, after optimisation.</summary>
internal static class KernelRules
{
    public static readonly DiagnosticDescriptor Unsupported = New("SKEP0001", "Not possible in a kernel program");
    public static readonly DiagnosticDescriptor MutableState = New("SKEP0002", "A frozen object cannot change");
    public static readonly DiagnosticDescriptor Exception = New("SKEP0003", "A kernel program cannot throw or catch");
    public static readonly DiagnosticDescriptor Recursion = New("SKEP0004", "A kernel program cannot recurse");

    private static DiagnosticDescriptor New(string id, string title) => new(
        id, title, "{0}", "Skep.Kernel", DiagnosticSeverity.Warning, isEnabledByDefault: true);
}
