using Skep.Bpf.Asm;
using static Skep.Bpf.Asm.OpCodes;

namespace Skep.Bpf.Verification.Checking;

/// <summary>Finds code that no path leads to, whatever values there are (<c>check_cfg</c> in kernel/bpf/verifier.c).</summary>
internal static class Reachability
{
    public static int? FirstUnreachable(IReadOnlyList<Instruction> code)
    {
        var reached = new bool[code.Count];
        var pending = new Stack<int>([0]);
        while (pending.TryPop(out var slot))
        {
            if ((uint)slot >= (uint)code.Count || reached[slot])
            {
                continue;
            }

            reached[slot] = true;
            var i = code[slot];
            if (InstructionEncoding.Target(i, slot) is { } target)
            {
                pending.Push(target);
            }

            if (i.IsWideLoad)
            {
                reached[slot + 1] = true;
                pending.Push(slot + 2);
            }
            else if (i.Code == (ClassJmp | Ja | SourceRegister))
            {
                return null; // where a table leads is not in the code
            }
            else if (i.Code is not (ExitInstruction or (ClassJmp | Ja) or (ClassJmp32 | Ja)))
            {
                pending.Push(slot + 1);
            }
        }

        var first = Array.IndexOf(reached, false);
        return first < 0 ? null : first;
    }
}
