using System.Collections.Immutable;
using System.Linq;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Diagnostics;
using Microsoft.CodeAnalysis.Operations;

namespace Skep.Bpf.Analyzers;

/// <summary>
/// Says of kernel methods, while they are typed, what the compiler would refuse, and what to write instead. It sees one compilation and no objects: what depends on the values
/// in fields, on layout or on the kernel is left to the compiler.
/// </summary>
[DiagnosticAnalyzer(LanguageNames.CSharp)]
public sealed class KernelCodeAnalyzer : DiagnosticAnalyzer
{
    /// <inheritdoc/>
    public override ImmutableArray<DiagnosticDescriptor> SupportedDiagnostics { get; } =
        [KernelRules.Unsupported, KernelRules.MutableState, KernelRules.Exception, KernelRules.Recursion];

    /// <inheritdoc/>
    public override void Initialize(AnalysisContext context)
    {
        context.ConfigureGeneratedCodeAnalysis(GeneratedCodeAnalysisFlags.Analyze | GeneratedCodeAnalysisFlags.ReportDiagnostics);
        context.EnableConcurrentExecution();
        context.RegisterCompilationStartAction(start =>
        {
            if (KernelMethods.Find(start.Compilation, start.CancellationToken) is not { } methods)
            {
                return;
            }

            void On(System.Action<OperationAnalysisContext> action, params OperationKind[] kinds) => start.RegisterOperationAction(
                operation =>
                {
                    if (methods.Contains(operation.ContainingSymbol) && !IsCompileTime(operation.Operation))
                    {
                        action(operation);
                    }
                },
                kinds);

            On(Allocation, OperationKind.ObjectCreation, OperationKind.ArrayCreation, OperationKind.CollectionExpression, OperationKind.AnonymousObjectCreation);
            On(Conversion, OperationKind.Conversion);
            On(Text, OperationKind.Literal, OperationKind.InterpolatedString);
            On(Throwing, OperationKind.Throw, OperationKind.Try, OperationKind.Lock, OperationKind.Loop);
            On(Checked, OperationKind.Binary, OperationKind.Unary, OperationKind.CompoundAssignment, OperationKind.Increment, OperationKind.Decrement);
            On(State, OperationKind.FieldReference, OperationKind.PropertyReference);
            On(Capture, OperationKind.AnonymousFunction);
            On(c => Report(c, KernelRules.Unsupported, "a kernel program cannot wait: return, and let the agent go on"), OperationKind.Await);
            On(c => Report(c, KernelRules.Unsupported, "dynamic binding needs the runtime: use generics"), OperationKind.DynamicInvocation, OperationKind.DynamicMemberReference);
            On(c => Call(c, methods), OperationKind.Invocation);
        });
    }

    // Names, attributes and texts for Skep itself are read when the program is compiled, not when it runs.
    private static bool IsCompileTime(IOperation operation)
    {
        for (var at = operation.Parent; at is not null; at = at.Parent)
        {
            if (at is INameOfOperation or IAttributeOperation
                || at is IArgumentOperation { Parent: IInvocationOperation { TargetMethod.ContainingAssembly.Name: "Skep.Bpf" } } && operation.ConstantValue.HasValue)
            {
                return true;
            }
        }

        return false;
    }

    private static void Allocation(OperationAnalysisContext context)
    {
        switch (context.Operation)
        {
            case IObjectCreationOperation { Type: { IsReferenceType: true } type } creation when !IsThrown(creation):
                Report(context, KernelRules.Unsupported, $"a {type.Name} is allocated; objects exist only at compile time: make it before, and keep it in a readonly field");
                break;
            case IArrayCreationOperation array when !IsTable(array):
                Report(context, KernelRules.Unsupported, "an array is allocated; kernel programs cannot allocate: use stackalloc, an inline array, or a map");
                break;
            case ICollectionExpressionOperation { Type: { } collection } when !IsSpan(collection) && !collection.IsValueType:
                Report(context, KernelRules.Unsupported, "a collection is allocated; kernel programs cannot allocate: use stackalloc, an inline array, or a map");
                break;
            case IAnonymousObjectCreationOperation:
                Report(context, KernelRules.Unsupported, "an object is allocated; kernel programs cannot allocate: use a tuple or a struct");
                break;
        }
    }

    private static void Conversion(OperationAnalysisContext context)
    {
        var conversion = (IConversionOperation)context.Operation;
        if (conversion.Operand.Type is { IsValueType: true } from && conversion.Type is { IsReferenceType: true } && conversion.GetConversion().IsBoxing)
        {
            Report(context, KernelRules.Unsupported, $"a {from.Name} is boxed; kernel programs cannot allocate: use generics with a struct constraint instead of object or an interface");
        }
        else if (IsFloat(conversion.Type) && !IsFloat(conversion.Operand.Type))
        {
            Report(context, KernelRules.Unsupported, "floating point is used; the kernel has none: scale to integers");
        }
        else if (conversion.IsChecked && !conversion.ConstantValue.HasValue && !conversion.IsImplicit)
        {
            ReportChecked(context);
        }
    }

    private static void Text(OperationAnalysisContext context)
    {
        if (context.Operation.Type is { SpecialType: SpecialType.System_String } && context.Operation.Parent is not IInterpolatedStringTextOperation && !IsThrown(context.Operation))
        {
            Report(context, KernelRules.Unsupported, "a string is used; kernel programs have none: use numbers, enums or a UTF-8 literal, and format in the agent");
        }
        else if (IsFloat(context.Operation.Type))
        {
            Report(context, KernelRules.Unsupported, "floating point is used; the kernel has none: scale to integers");
        }
    }

    private static void Throwing(OperationAnalysisContext context)
    {
        switch (context.Operation)
        {
            case IThrowOperation { IsImplicit: false }:
                Report(context, KernelRules.Exception, "a kernel program cannot throw: return a verdict, or make the condition impossible with a check before");
                break;
            case ITryOperation { Catches.Length: > 0 }:
                Report(context, KernelRules.Exception, "a kernel program cannot catch: test conditions and return");
                break;
            case ILockOperation:
                Report(context, KernelRules.Exception, "a lock needs the runtime: use Interlocked, a per-CPU map or a spin lock of the kernel");
                break;
            case IForEachLoopOperation loop when HasEnumeratorObject(loop):
                Report(context, KernelRules.Unsupported, "the enumerator of this loop is an object: loop over an array, an ImmutableArray or a span, count with for, or give the collection an enumerator that is a struct");
                break;
        }
    }

    private static void Checked(OperationAnalysisContext context)
    {
        var isChecked = context.Operation switch
        {
            IBinaryOperation binary => binary.IsChecked,
            IUnaryOperation unary => unary.IsChecked,
            ICompoundAssignmentOperation assignment => assignment.IsChecked,
            IIncrementOrDecrementOperation step => step.IsChecked,
            _ => false,
        };
        if (isChecked && !context.Operation.ConstantValue.HasValue)
        {
            ReportChecked(context);
        }
    }

    private static void State(OperationAnalysisContext context)
    {
        if (context.Operation is IFieldReferenceOperation { Field: { IsConst: false, IsReadOnly: false } field } && field.ContainingAssembly.Name != "Skep.Bpf")
        {
            if (field.IsStatic)
            {
                Report(context, KernelRules.MutableState, $"static field '{field.Name}' is not readonly; make it const or static readonly, or keep changing state in a map or Global<T>");
            }
            else if (field.ContainingType.IsReferenceType)
            {
                Report(context, KernelRules.MutableState, $"field '{field.Name}' is not readonly, so it is not frozen; make it readonly, or keep changing state in a map or Global<T>");
            }
        }
        else if (context.Operation is IPropertyReferenceOperation { Property: { IsAbstract: false, ContainingType.IsReferenceType: true } property }
            && property.ContainingType.GetMembers().OfType<IFieldSymbol>().Any(f => SymbolEqualityComparer.Default.Equals(f.AssociatedSymbol, property) && !f.IsReadOnly))
        {
            Report(context, KernelRules.MutableState, $"property '{property.Name}' can be set, so it is not frozen; leave out the setter, or keep changing state in a map or Global<T>");
        }
    }

    private static void Capture(OperationAnalysisContext context)
    {
        var function = (IAnonymousFunctionOperation)context.Operation;
        var captures = function.Body.Descendants().Any(o => o switch
        {
            IInstanceReferenceOperation { ReferenceKind: InstanceReferenceKind.ContainingTypeInstance } => true,
            ILocalReferenceOperation local => !IsInside(local.Local, function.Symbol),
            IParameterReferenceOperation parameter => !IsInside(parameter.Parameter, function.Symbol),
            _ => false,
        });
        if (captures)
        {
            Report(context, KernelRules.Unsupported, "the lambda captures variables, which needs an object: make it static and pass what it needs by reference");
        }
    }

    private static void Call(OperationAnalysisContext context, KernelMethods methods)
    {
        var call = (IInvocationOperation)context.Operation;
        var method = call.TargetMethod;
        if (context.ContainingSymbol is IMethodSymbol caller && !method.IsAbstract && !method.IsVirtual && methods.IsRecursive(caller, method))
        {
            Report(context, KernelRules.Recursion, $"'{method.Name}' leads back to '{caller.Name}'; kernel programs cannot recurse: use a loop with a constant bound");
        }
        else if (RuntimeOnly(method) is { } instead)
        {
            Report(context, KernelRules.Unsupported, $"'{method.ContainingType.Name}.{method.Name}' needs the runtime: {instead}");
        }
    }

    private static string? RuntimeOnly(IMethodSymbol method) => method.ContainingType.ToDisplayString() switch
    {
        "System.Linq.Enumerable" => "write the loop",
        "System.Console" => "send an event through a ring buffer, and print in the agent",
        "System.String" or "string" => "use numbers and enums, and format in the agent",
        "System.DateTime" or "System.DateTimeOffset" or "System.Diagnostics.Stopwatch" => "use Helper.KtimeGetNs()",
        "System.Random" => "use Helper.GetPrandomU32()",
        "System.Threading.Thread" or "System.Threading.Tasks.Task" => "kernel programs run to their end on one CPU",
        _ => null,
    };

    private static bool IsInside(ISymbol symbol, IMethodSymbol function)
    {
        for (var at = symbol.ContainingSymbol; at is not null; at = at.ContainingSymbol)
        {
            if (SymbolEqualityComparer.Default.Equals(at, function))
            {
                return true;
            }
        }

        return false;
    }

    private static bool HasEnumeratorObject(IForEachLoopOperation loop)
    {
        var collection = loop.Collection is IConversionOperation { IsImplicit: true } conversion ? conversion.Operand.Type : loop.Collection.Type;
        return collection is not IArrayTypeSymbol && collection is not null && !IsSpan(collection)
            && loop.SemanticModel?.GetForEachStatementInfo((Microsoft.CodeAnalysis.CSharp.Syntax.CommonForEachStatementSyntax)loop.Syntax).GetEnumeratorMethod?.ReturnType is { IsReferenceType: true };
    }

    private static bool IsThrown(IOperation operation)
    {
        for (var at = operation.Parent; at is not null; at = at.Parent)
        {
            if (at is IThrowOperation)
            {
                return true;
            }
        }

        return false;
    }

    // The compiler of C# keeps these in the image of the assembly.
    private static bool IsTable(IArrayCreationOperation array) =>
        array.IsImplicit || array.Parent is IConversionOperation { Type: { } type } && IsSpan(type);

    private static bool IsSpan(ITypeSymbol type) => type.OriginalDefinition.ToDisplayString() is "System.ReadOnlySpan<T>" or "System.Span<T>";

    private static bool IsFloat(ITypeSymbol? type) =>
        type?.SpecialType is SpecialType.System_Single or SpecialType.System_Double or SpecialType.System_Decimal;

    private static void ReportChecked(OperationAnalysisContext context) =>
        Report(context, KernelRules.Exception, "checked arithmetic can throw; use unchecked(...) and compare yourself");

    private static void Report(OperationAnalysisContext context, DiagnosticDescriptor rule, string message) =>
        context.ReportDiagnostic(Diagnostic.Create(rule, context.Operation.Syntax.GetLocation(), message));
}
