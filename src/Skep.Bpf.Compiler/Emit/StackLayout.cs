using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Emit;

/// <summary>
/// Gives stack slots their place in the 512-byte frame; slots that are never in use together share bytes.
/// The verifier follows a 32-bit value only into the lower half of an eight-byte cell (check_stack_write_fixed_off in kernel/bpf/verifier.c). What several paths
/// write for a helper to read goes into the upper half, where it forgets the value: the paths are then walked once from there on.
/// </summary>
internal static class StackLayout
{
    private const int FrameLimit = 512;

    public static void Run(MachineFunction function, SourcePosition position)
    {
        var slots = new List<Node>();
        var index = new Dictionary<Node, int>();
        foreach (var block in function.Blocks)
        {
            foreach (var instruction in block.Code)
            {
                if (instruction.Slot is { } slot && index.TryAdd(slot, slots.Count))
                {
                    slots.Add(slot);
                }
            }
        }

        var conflicts = Conflicts(function, slots, index);
        var taken = new List<Node>();
        foreach (var slot in slots.OrderByDescending(static s => s.Size))
        {
            var size = (slot.Size + 7) & ~7;
            taken.Clear();
            for (var i = 0; i < slots.Count; i++)
            {
                if (slots[i] != slot && function.Frame.ContainsKey(slots[i]) && conflicts[index[slot]].Contains(i))
                {
                    taken.Add(slots[i]);
                }
            }

            // The highest free place below what is taken, from the top of the frame on.
            taken.Sort((a, b) => End(b).CompareTo(End(a)));
            var start = -size;
            foreach (var other in taken)
            {
                if (start < End(other) && Start(other) < start + size)
                {
                    start = Start(other) - size;
                }
            }

            function.Frame[slot] = function.Vague.Contains(slot) ? start + 4 : start;
            function.FrameSize = Math.Max(function.FrameSize, -start);
        }

        if (function.FrameSize > FrameLimit)
        {
            var ledger = string.Join(", ", slots.OrderByDescending(static s => s.Size).Take(12).Select(static s => $"{s.Payload ?? "value"} {s.Size}"));
            throw new CompileException(
                Rule.Stack,
                $"the program needs {function.FrameSize} bytes of stack, the kernel allows {FrameLimit}; keep large structs in a per-CPU array map. Largest: {ledger}",
                position);
        }

        int Start(Node slot) => function.Frame[slot] & ~7;

        int End(Node slot) => Start(slot) + ((slot.Size + 7) & ~7);
    }

    private static bool HasSlots(MachineInstruction instruction) => instruction.Slot is not null || instruction.Slots.Count > 0;

    private static IEnumerable<Node> SlotsOf(MachineInstruction instruction) =>
        instruction.Slot is { } slot ? [slot] : instruction.Slots;

    /// <summary>Slots conflict when at some point both have been used before and will be used after.</summary>
    private static List<BitSet> Conflicts(MachineFunction function, List<Node> slots, Dictionary<Node, int> index)
    {
        // By the number of the block, which is its place in the function.
        var before = function.Blocks.ConvertAll(_ => new BitSet(slots.Count));
        var after = function.Blocks.ConvertAll(_ => new BitSet(slots.Count));
        var own = function.Blocks.ConvertAll(_ => new BitSet(slots.Count));
        foreach (var block in function.Blocks)
        {
            foreach (var instruction in block.Code)
            {
                if (HasSlots(instruction))
                {
                    foreach (var slot in SlotsOf(instruction))
                    {
                        own[block.Id].Add(index[slot]);
                    }
                }
            }
        }

        for (var changed = true; changed;)
        {
            changed = false;
            foreach (var block in function.Blocks)
            {
                foreach (var successor in block.Successors)
                {
                    changed |= before[successor.Id].UnionWith(before[block.Id]) | before[successor.Id].UnionWith(own[block.Id]);
                }
            }

            // Backwards, so that one round brings it all the way where there is no loop.
            for (var b = function.Blocks.Count - 1; b >= 0; b--)
            {
                foreach (var successor in function.Blocks[b].Successors)
                {
                    changed |= after[b].UnionWith(after[successor.Id]) | after[b].UnionWith(own[successor.Id]);
                }
            }
        }

        var conflicts = slots.ConvertAll(_ => new BitSet(slots.Count));
        foreach (var block in function.Blocks)
        {
            // Walking back, the slots used later are exact; those used before are exact walking forward.
            var later = new BitSet?[block.Code.Count];
            var running = new BitSet(after[block.Id]);
            for (var i = block.Code.Count - 1; i >= 0; i--)
            {
                if (HasSlots(block.Code[i]))
                {
                    foreach (var slot in SlotsOf(block.Code[i]))
                    {
                        running.Add(index[slot]);
                    }

                    later[i] = new BitSet(running);
                }
            }

            var earlier = new BitSet(before[block.Id]);
            for (var i = 0; i < block.Code.Count; i++)
            {
                if (later[i] is null)
                {
                    continue;
                }

                foreach (var slot in SlotsOf(block.Code[i]))
                {
                    earlier.Add(index[slot]);
                    foreach (var other in earlier)
                    {
                        if (later[i]!.Contains(other) && other != index[slot])
                        {
                            conflicts[other].Add(index[slot]);
                            conflicts[index[slot]].Add(other);
                        }
                    }
                }
            }
        }

        foreach (var pinned in function.Pinned)
        {
            for (var i = 0; i < slots.Count && index.ContainsKey(pinned); i++)
            {
                conflicts[i].Add(index[pinned]);
                conflicts[index[pinned]].Add(i);
            }
        }

        return conflicts;
    }
}
