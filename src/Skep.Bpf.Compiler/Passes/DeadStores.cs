using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Emit;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Passes;

/// <summary>
/// Drops writes to the stack of which no byte is read on any path from there: locals that C# zeroes at the start of a method and that are
/// overwritten before a helper sees them. Liveness of single bytes, backwards; slots whose address goes anywhere but into accesses and helpers are left alone.
/// </summary>
internal sealed class DeadStores : IPass
{
    /// <summary>Bytes of slots that are looked at; beyond that, the largest ones are left as they are.</summary>
    private const int MostBytes = 8192;

    public string Why => "what is overwritten before it is read is not written";

    public bool Run(Function function)
    {
        var places = Places(function, out var bytes);
        if (bytes == 0)
        {
            return false;
        }

        var live = function.Blocks.ConvertAll(_ => new BitSet(bytes));
        var set = new BitSet(bytes);
        for (var changed = true; changed;)
        {
            changed = false;
            for (var b = function.Blocks.Count - 1; b >= 0; b--)
            {
                var block = function.Blocks[b];
                SetToEnd(set, block, live);
                for (var i = block.Nodes.Count - 1; i >= 0; i--)
                {
                    Step(block.Nodes[i], set, places);
                }

                changed |= live[b].UnionWith(set);
            }
        }

        var removed = false;
        foreach (var block in function.Blocks)
        {
            SetToEnd(set, block, live);
            for (var i = block.Nodes.Count - 1; i >= 0; i--)
            {
                if (IsDead(block.Nodes[i], set, places))
                {
                    block.Nodes.RemoveAt(i);
                    removed = true;
                }
                else
                {
                    Step(block.Nodes[i], set, places);
                }
            }
        }

        return removed;
    }

    /// <summary>Where the bytes of each slot begin in the sets, by number of the slot; -1 for those that are not looked at.</summary>
    private static int[] Places(Function function, out int bytes)
    {
        var escaping = new EscapingSlots(function);
        var places = new int[function.Number()];
        Array.Fill(places, -1);
        bytes = 0;
        foreach (var slot in function.Allocas.Where(a => !escaping.Contains(a)).OrderBy(static a => a.Size))
        {
            if (bytes + slot.Size > MostBytes)
            {
                break;
            }

            places[slot.Id] = bytes;
            bytes += slot.Size;
        }

        return places;
    }

    private static void SetToEnd(BitSet set, Block block, List<BitSet> live)
    {
        set.Clear();
        foreach (var successor in block.Successors)
        {
            set.UnionWith(live[successor.Index]);
        }
    }

    private static bool IsDead(Node node, BitSet live, int[] places)
    {
        if (node.Op != Op.Store)
        {
            return false;
        }

        var (start, end) = RangeOf(node.Operands[0], node.Immediate, node.Size, places);
        return start < end && !live.ContainsAny(start, end);
    }

    private static void Step(Node node, BitSet live, int[] places)
    {
        switch (node.Op)
        {
            case Op.Store:
                Set(node.Operands[0], node.Immediate, node.Size, false);
                break;
            case Op.Load or Op.Atomic:
                Set(node.Operands[0], node.Immediate, node.Size, true);
                break;
            case Op.Call:
                foreach (var operand in node.Operands)
                {
                    // How far a helper reads is not always known: the whole slot is alive.
                    if (Aliasing.BaseOf(operand) is { Op: Op.Alloca } slot)
                    {
                        Set(slot, 0, slot.Size, true);
                    }
                }

                break;
        }

        void Set(Node address, long displacement, int size, bool isRead)
        {
            var (start, end) = RangeOf(address, displacement, size, places);
            live.Set(start, end, isRead);
        }
    }

    /// <summary>The accessed bytes in the sets; empty when it is none of the slots that are looked at.</summary>
    private static (int Start, int End) RangeOf(Node address, long displacement, int size, int[] places)
    {
        var slot = Aliasing.BaseOf(address);
        if (slot.Op != Op.Alloca || (uint)slot.Id >= (uint)places.Length || places[slot.Id] is var place && place < 0)
        {
            return default;
        }

        var offset = displacement + Aliasing.OffsetOf(address);
        var (start, end) = (Math.Max(0, offset), Math.Min(slot.Size, offset + size));
        return start >= end ? default : (place + (int)start, place + (int)end);
    }
}
