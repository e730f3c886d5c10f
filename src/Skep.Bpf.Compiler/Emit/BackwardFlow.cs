namespace Skep.Bpf.Compiler.Emit;

/// <summary>
/// What is needed where: whatever a block reads before it writes it is needed at its start, and so is what is needed at its end and not written there; at its end what is
/// needed at the start of any block that follows. Sets are by the numbers of blocks, which are their places in the function.
/// </summary>
internal static class BackwardFlow
{
    /// <param name="function">The function.</param>
    /// <param name="reads">For each block what it reads before it writes it.</param>
    /// <param name="writes">For each block what it writes.</param>
    /// <param name="capacity">How many things the sets are of.</param>
    /// <returns>For each block what is needed at its start, and at its end.</returns>
    public static (BitSet[] Start, BitSet[] End) Solve(MachineFunction function, BitSet[] reads, BitSet[] writes, int capacity)
    {
        var (start, end) = (new BitSet[reads.Length], new BitSet[reads.Length]);
        for (var b = 0; b < reads.Length; b++)
        {
            (start[b], end[b]) = (new BitSet(capacity), new BitSet(capacity));
        }

        for (var changed = true; changed;)
        {
            changed = false;
            for (var b = reads.Length - 1; b >= 0; b--)
            {
                foreach (var successor in function.Blocks[b].Successors)
                {
                    end[b].UnionWith(start[successor.Id]);
                }

                changed |= start[b].Assign(reads[b], end[b], writes[b]);
            }
        }

        return (start, end);
    }
}
