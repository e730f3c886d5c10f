using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Analyses;

/// <summary>Which functions a program has, and which each calls or has called back.</summary>
internal sealed class CallGraph
{
    private readonly Dictionary<Function, List<Function>> _callees = [];

    private readonly Func<Function, IEnumerable<Function>> _calleesOf;

    private CallGraph(Function main, Func<Function, IEnumerable<Function>> calleesOf)
    {
        _calleesOf = calleesOf;
        Visit(main);
    }

    /// <summary>The main function first.</summary>
    public List<Function> Functions { get; } = [];

    /// <summary>From the main function on; each function is asked once, callers first.</summary>
    public static CallGraph Of(Function main, Func<Function, IEnumerable<Function>> calleesOf) => new(main, calleesOf);

    public IReadOnlyList<Function> CalleesOf(Function function) => _callees[function];

    private void Visit(Function function)
    {
        Functions.Add(function);
        var callees = _calleesOf(function).Distinct().ToList();
        _callees.Add(function, callees);
        foreach (var callee in callees)
        {
            if (!_callees.ContainsKey(callee))
            {
                Visit(callee);
            }
        }
    }
}
