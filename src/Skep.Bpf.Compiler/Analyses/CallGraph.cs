using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Analyses;

/// <summary>Which functions the optimised program still has, and which each calls or has called back.</summary>
internal sealed class CallGraph
{
    private readonly Dictionary<Function, List<Function>> _callees = [];

    private CallGraph(Function main) => Visit(main);

    /// <summary>The main function first.</summary>
    public List<Function> Functions { get; } = [];

    public static CallGraph Of(Function main) => new(main);

    public IReadOnlyList<Function> CalleesOf(Function function) => _callees[function];

    private void Visit(Function function)
    {
        Functions.Add(function);
        var callees = function.Blocks.SelectMany(static b => b.Nodes).SelectMany(Referenced).Distinct().ToList();
        _callees.Add(function, callees);
        foreach (var callee in callees)
        {
            if (!_callees.ContainsKey(callee))
            {
                Visit(callee);
            }
        }
    }

    private static IEnumerable<Function> Referenced(Node node)
    {
        if (node.Payload is HelperCall { Target: { } target })
        {
            yield return target;
        }

        foreach (var operand in node.Operands)
        {
            if (operand.Op == Op.FunctionAddress)
            {
                yield return (Function)operand.Payload!;
            }
        }
    }
}
