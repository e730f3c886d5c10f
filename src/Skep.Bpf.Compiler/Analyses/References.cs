using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Analyses;

/// <summary>
/// Finds references that a program takes from a kernel function and can never give back. Whether each path gives back what it took is for the
/// verifier; here the plain slips have a line.
/// </summary>
internal static class References
{
    /// <exception cref="CompileException">A reference is taken and not used, or nothing gives one back.</exception>
    public static void Check(Function function)
    {
        var calls = function.Blocks.SelectMany(static b => b.Nodes).Where(static n => n is { Op: Op.Call, Payload: HelperCall }).ToList();
        var taken = calls.Find(static n => ((HelperCall)n.Payload!).Acquires);
        if (taken is null)
        {
            return;
        }

        var uses = function.CountUses();
        if (calls.Find(n => ((HelperCall)n.Payload!).Acquires && !uses.ContainsKey(n)) is { } dropped)
        {
            throw Error(dropped, "is dropped; keep it, test it for null, and give it back");
        }

        if (!calls.Exists(static n => ((HelperCall)n.Payload!).Releases))
        {
            throw Error(taken, "is never given back; call the function that releases it on every path");
        }
    }

    private static CompileException Error(Node call, string what) =>
        new(Rule.Reference, $"the reference that '{call.Payload}' gives {what}", call.Position);
}
