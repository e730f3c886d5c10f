namespace Skep.Bpf.Compiler.Diagnostics;

/// <summary>The rules as the documentation lists them; a test holds the page to it.</summary>
internal static class RuleTable
{
    /// <summary>Number, what is refused, and what to write instead.</summary>
    public static IReadOnlyList<(string Id, string Refused, string Instead)> All { get; } =
    [
        (Rule.Unsupported, "allocation, boxing, strings, new arrays, floating point, lambdas that use local variables, `async`, iterators, LINQ, code without a C# body", "structs, enums, `stackalloc`, inline arrays, maps; scale to integers; format in the agent"),
        (Rule.MutableState, "fields that are not `readonly`, static state", "a map or `Global<T>`"),
        (Rule.Exception, "`throw`, `catch`, `lock`, `checked`", "conditions and returned verdicts; `Interlocked` or `BpfSpinLock` for what is shared"),
        (Rule.Recursion, "recursion on data, named with its chain of calls (down a tree of frozen objects it is fine)", "a loop with a constant bound"),
        (Rule.NotFrozen, "an object that is not known when the program is compiled", "objects in `readonly` fields, each called in its own branch"),
        (Rule.Layout, "structs without sequential layout", "`[StructLayout(LayoutKind.Sequential)]`"),
        (Rule.Stack, "more than 512 bytes of stack, or eight nested functions", "large structs in a per-CPU array"),
        (Rule.KernelField, "a kernel field, struct or function this kernel lacks, or no BTF", "ask `KernelType.Exists` first ([kernel types](kernel-types.md))"),
        (Rule.NotConstant, "an index of objects, or a size, that must be constant", "a constant, a mask, a map"),
        (Rule.NullReference, "a call on a frozen `null`", "test the field for `null` first"),
        (Rule.TooLarge, "jumps over more than 32767 instructions, loops over too many objects", "two programs, fewer objects, values in an array or a map"),
        (Rule.StalePointer, "a packet pointer from before the packet moved", "read `Data` and `DataEnd` again"),
        (Rule.WrongKind, "a method of other kinds of programs", "what the message names, or a program of that kind"),
        (Rule.Reference, "a reference, record or iterator of the kernel that is dropped, copied, or not given back on every path", "the function that releases it, on every path; pass it by `ref`"),
        (Rule.InstructionSet, "an atomic operation that the instruction set of the target lacks (below v3: all but additions whose result is not used)", "a value per CPU, or v3 (kernel 5.12)"),
        (Rule.Call, "a function that takes or returns what no register holds", "a struct by `ref`, a readonly field, or let it be inlined"),
        (Rule.TailCall, "work after a tail call, or a test of its verdict", "`return next.Call(...)`"),
        (Rule.OutOfRange, "an index, slice or span that may be out of range", "test it first, `(uint)i < (uint)span.Length`, or mask it"),
        (Rule.InvalidIl, "a method whose IL is damaged, or that another language made", "C#, compiled by the C# compiler"),
    ];
}
