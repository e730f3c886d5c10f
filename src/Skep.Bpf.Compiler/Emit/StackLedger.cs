using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Emit;

/// <summary>Functions that call each other share the stack of 512 bytes, and nest at most eight deep (<c>check_max_stack_depth</c> in kernel/bpf/verifier.c).</summary>
internal static class StackLedger
{
    private const int StackLimit = 512;
    private const int DepthLimit = 8;
    private const int TailCallLimit = 256;
    private const int Granularity = 16;

    /// <exception cref="CompileException">A chain of calls needs more.</exception>
    public static void Check(CallGraph graph, Dictionary<Function, int> frames)
    {
        Walk(graph, frames, graph.Functions[0], []);
        foreach (var root in graph.Functions.Where(static f => f.Signature?.Use == FunctionUse.LaterCallback))
        {
            Walk(graph, frames, root, []);
        }
    }

    private static int Rounded(int bytes) => Math.Max(Granularity, (bytes + Granularity - 1) & -Granularity);

    private static bool HasTailCall(Function function) =>
        function.Blocks.Any(static b => b.Nodes.Any(static n => n is { Op: Op.Call, Payload: HelperCall { IsTailCall: true } }));

    private static void Walk(CallGraph graph, Dictionary<Function, int> frames, Function function, List<Function> chain)
    {
        chain.Add(function);
        var total = 0;
        foreach (var called in chain)
        {
            total += Rounded(frames[called]);
        }

        if (total > StackLimit || chain.Count > DepthLimit)
        {
            var ledger = string.Join(" -> ", chain.Select(f => $"{f.Name} {frames[f]}"));
            throw new CompileException(
                Rule.Stack,
                chain.Count > DepthLimit
                    ? $"functions call each other {chain.Count} deep, the kernel allows {DepthLimit}; let some be inlined. Chain, with bytes of stack: {ledger}"
                    : $"a chain of calls needs {total} bytes of stack, the kernel allows {StackLimit}; keep large structs in a per-CPU array map. Chain, with bytes of each: {ledger}",
                function.Position);
        }

        // What is called may itself call functions: a function that ends in a tail call leaves room for them (check_max_stack_depth).
        var before = total - Rounded(frames[function]);
        if (chain.Count > 1 && before >= TailCallLimit && HasTailCall(function))
        {
            throw new CompileException(
                Rule.Stack,
                $"'{function.Name}' makes a tail call, and the functions before it have {before} bytes of stack; the kernel allows less than {TailCallLimit}: "
                    + $"{string.Join(" -> ", chain.Select(f => $"{f.Name} {frames[f]}"))}",
                function.Position);
        }

        foreach (var callee in graph.CalleesOf(function).Where(static f => f.Signature?.Use != FunctionUse.LaterCallback))
        {
            Walk(graph, frames, callee, chain);
        }

        chain.RemoveAt(chain.Count - 1);
    }
}
