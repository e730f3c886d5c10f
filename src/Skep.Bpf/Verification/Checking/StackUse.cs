using Skep.Bpf.Asm;
using Skep.Bpf.Programs;
using static Skep.Bpf.Asm.OpCodes;

namespace Skep.Bpf.Verification.Checking;

/// <summary>
/// Adds up the stack of nested calls by the offsets that are written in the code. The kernel counts bytes that are reached by computed addresses
/// too, so that it may find more.
/// </summary>
internal static class StackUse
{
    private const int Limit = 512, Rounding = 16;

    /// <summary>The call with which the sum exceeds 512 bytes, and the sum.</summary>
    public static (int Slot, int Depth)? FirstTooDeep(ProgramSpec spec)
    {
        // Programs that trace may have a stack of their own for each function (kernel 6.13).
        if (spec.Type is ProgramType.Kprobe or ProgramType.Tracepoint or ProgramType.PerfEvent or ProgramType.RawTracepoint or ProgramType.Tracing or ProgramType.StructOps)
        {
            return null;
        }

        var code = spec.Instructions;
        var starts = new SortedSet<int> { 0 };
        for (var slot = 0; slot < code.Count; slot++)
        {
            if (code[slot] is { Code: CallInstruction, Src: PseudoCall } call)
            {
                starts.Add(slot + 1 + call.Immediate);
            }

            slot += code[slot].IsWideLoad ? 1 : 0;
        }

        // A function that was seen below as much stack already has nothing new below it.
        Dictionary<int, int> deepest = [];
        return Walk(0, 0, 0);

        (int, int)? Walk(int start, int above, int depth)
        {
            if (deepest.TryGetValue(start, out var before) && before >= above)
            {
                return null;
            }

            deepest[start] = above;
            var end = starts.FirstOrDefault(s => s > start, code.Count);
            var own = 1;
            for (var slot = start; slot < end; slot++)
            {
                own = Math.Max(own, -Lowest(code[slot]));
                slot += code[slot].IsWideLoad ? 1 : 0;
            }

            var sum = above + (own + Rounding - 1) / Rounding * Rounding;
            if (sum > Limit)
            {
                return (start, sum);
            }

            for (var slot = start; slot < end && depth < 8; slot++)
            {
                if (code[slot] is { Code: CallInstruction, Src: PseudoCall } call && Walk(slot + 1 + call.Immediate, sum, depth + 1) is { } found)
                {
                    return found;
                }

                slot += code[slot].IsWideLoad ? 1 : 0;
            }

            return null;
        }
    }

    private static int Lowest(Instruction i) => i switch
    {
        { Class: ClassSt or ClassStx, Dst: Register.R10 } => Math.Min(0, (int)i.Offset),
        { Class: ClassLdx, Src: Register.R10 } => Math.Min(0, (int)i.Offset),
        _ => 0,
    };
}
