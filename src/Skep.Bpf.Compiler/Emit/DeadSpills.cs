using Skep.Bpf.Asm;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Emit;

/// <summary>
/// Takes out stores of spilled values that nobody reads. A value that is computed in two steps, as every difference of two registers is, is stored after each of them; one that
/// a branch needs is stored for the other branch too. Runs on real registers, before spilled values share places.
/// </summary>
internal static class DeadSpills
{
    public static void Run(MachineFunction function)
    {
        var index = new Dictionary<Node, int>(ReferenceEqualityComparer.Instance);
        foreach (var block in function.Blocks)
        {
            foreach (var instruction in block.Code)
            {
                if (IsStore(instruction))
                {
                    index.TryAdd(instruction.Slot!, index.Count);
                }
            }
        }

        if (index.Count == 0)
        {
            return;
        }

        var needed = NeededAfter(function, index);
        foreach (var block in function.Blocks)
        {
            var live = needed[block.Id];
            var kept = block.Code.Count;
            for (var i = block.Code.Count - 1; i >= 0; i--)
            {
                var instruction = block.Code[i];
                if (!IsStore(instruction))
                {
                    AddReads(instruction, index, live);
                }
                else if (!live.Remove(index[instruction.Slot!]))
                {
                    continue;
                }

                block.Code[--kept] = instruction;
            }

            block.Code.RemoveRange(0, kept);
        }
    }

    /// <summary>For each block the places that are read after it before they are written.</summary>
    private static BitSet[] NeededAfter(MachineFunction function, Dictionary<Node, int> index)
    {
        var (reads, writes) = (new BitSet[function.Blocks.Count], new BitSet[function.Blocks.Count]);
        foreach (var block in function.Blocks)
        {
            var (read, written) = (new BitSet(index.Count), new BitSet(index.Count));
            for (var i = block.Code.Count - 1; i >= 0; i--)
            {
                if (IsStore(block.Code[i]))
                {
                    var slot = index[block.Code[i].Slot!];
                    written.Add(slot);
                    read.Remove(slot);
                }
                else
                {
                    AddReads(block.Code[i], index, read);
                }
            }

            (reads[block.Id], writes[block.Id]) = (read, written);
        }

        return BackwardFlow.Solve(function, reads, writes, index.Count).End;
    }

    // Whatever else names a place may read it.
    private static void AddReads(MachineInstruction instruction, Dictionary<Node, int> index, BitSet live)
    {
        if (instruction.Slot is { } slot && index.TryGetValue(slot, out var number))
        {
            live.Add(number);
        }

        foreach (var other in instruction.Slots)
        {
            if (index.TryGetValue(other, out number))
            {
                live.Add(number);
            }
        }
    }

    private static bool IsStore(MachineInstruction instruction) =>
        instruction is { Kind: MachineKind.Store, Slot.Payload: RegisterAllocator.SpillSlot, Code: OpCodes.ClassStx | OpCodes.ModeMem | OpCodes.SizeDw };
}
