using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Emit;

/// <summary>
/// A block that only sets a register to a constant and goes on, entered by one conditional jump, is done before that jump: one jump instead of two.
/// The other side must not need the register. Runs on real registers.
/// </summary>
internal static class ShortEdges
{
    public static void Run(MachineFunction function)
    {
        var liveness = new Liveness(function);
        var entries = Entries(function);
        Row<int> uses = [];
        foreach (var block in function.Blocks)
        {
            if (block.Code.Count < 2 || block.Code[^1] is not { Kind: MachineKind.Jump, Target: { } other } || block.Code[^2] is not { Kind: MachineKind.JumpIf, Target: { } edge } branch
                || edge.Code is not [{ Kind: MachineKind.Move, Src: MachineInstruction.None } set, { Kind: MachineKind.Jump, Target: { } next }]
                || entries.GetValueOrDefault(edge) != 1 || edge == other || next == edge)
            {
                continue;
            }

            uses.Clear();
            branch.CollectUses(uses);
            if (uses.Contains(set.Dst) || liveness.IsLiveInto(other, set.Dst))
            {
                continue;
            }

            block.Code.Insert(block.Code.Count - 2, set);
            branch.Target = next;
            block.Successors[block.Successors.IndexOf(edge)] = next;
            edge.Code = [edge.Code[1]];
        }
    }

    private static Dictionary<MachineBlock, int> Entries(MachineFunction function)
    {
        var entries = new Dictionary<MachineBlock, int>();
        foreach (var instruction in function.Blocks.SelectMany(static b => b.Code))
        {
            if (instruction.Target is { } target)
            {
                entries[target] = entries.GetValueOrDefault(target) + 1;
            }
        }

        return entries;
    }
}
