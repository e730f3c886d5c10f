using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Passes;

/// <summary>
/// Uses a value already read from or written to memory instead of reading it again, and drops writes to the stack that are overwritten unread.
/// Works inside extended basic blocks: a block with a single predecessor begins with what that one knew.
/// </summary>
internal sealed class MemoryForwarding : IPass
{
    public string Why => "memory is read once and not written in vain";

    public bool Run(Function function)
    {
        var aliasing = new Aliasing(function);
        var changed = false;
        var atEnd = new Dictionary<Block, List<Node>>();
        foreach (var block in function.Blocks)
        {
            var known = block.Predecessors.Count == 1 && atEnd.TryGetValue(block.Predecessors[0], out var inherited) ? new List<Node>(inherited) : [];
            foreach (var node in block.Nodes)
            {
                for (var i = 0; i < node.Operands.Count; i++)
                {
                    node.Operands[i] = node.Operands[i].Resolve();
                }

                changed |= Visit(node, known, aliasing);
            }

            atEnd[block] = known;
        }

        if (changed)
        {
            function.ApplyReplacements();
        }

        return RemoveOverwritten(function, aliasing) | changed;
    }

    private static bool Visit(Node node, List<Node> known, Aliasing aliasing)
    {
        switch (node.Op)
        {
            case Op.Load:
                foreach (var access in known)
                {
                    if (Aliasing.BaseOf(access.Operands[0]) == Aliasing.BaseOf(node.Operands[0]) && access.Size == node.Size
                        && access.Immediate + Aliasing.OffsetOf(access.Operands[0]) == node.Immediate + Aliasing.OffsetOf(node.Operands[0]))
                    {
                        var value = access.Op == Op.Load ? access : access.Operands[1];
                        if (value.Type == node.Type || (value.Type != IrType.I32 && node.Type != IrType.I32))
                        {
                            // A narrow store keeps only the low bits, which a promoted value must not exceed.
                            if (access.Op == Op.Store && node.Size < 4 && (KnownBits.PossibleBits(value) >> (node.Size * 8)) != 0)
                            {
                                break;
                            }

                            node.Replacement = value;
                            return true;
                        }
                    }
                }

                known.Add(node);
                return false;
            case Op.Store:
                known.RemoveAll(k => aliasing.MayOverlap(k, k.Size, node, node.Size));
                known.Add(node);
                return false;
            case Op.Atomic:
                known.RemoveAll(k => aliasing.MayOverlap(k, k.Size, node, node.Size));
                return false;
            case Op.Call:
                known.RemoveAll(k => Clobbers(node, k, aliasing));
                return false;
            default:
                return false;
        }
    }

    /// <summary>Whether a call may change what <paramref name="access"/> saw.</summary>
    private static bool Clobbers(Node call, Node access, Aliasing aliasing)
    {
        var target = Aliasing.BaseOf(access.Operands[0]);
        switch (aliasing.Of(target))
        {
            case Provenance.Stack when target.Op == Op.Alloca:
                if (aliasing.Escapes(target))
                {
                    return true;
                }

                for (var i = 0; i < call.Operands.Count; i++)
                {
                    if (Aliasing.BaseOf(call.Operands[i]) == target && !((HelperCall)call.Payload!).Arguments[i].ReadOnly)
                    {
                        return true;
                    }
                }

                return false;
            case Provenance.Context:
                return call.ClobbersPacket;
            case Provenance.Packet:
                return call.ClobbersPacket;
            default:
                // Map values change under other CPUs and under updates.
                return true;
        }
    }

    private static bool RemoveOverwritten(Function function, Aliasing aliasing)
    {
        var changed = false;
        foreach (var block in function.Blocks)
        {
            var dead = new HashSet<Node>();
            for (var i = 0; i < block.Nodes.Count; i++)
            {
                var store = block.Nodes[i];
                if (store.Op == Op.Store && Aliasing.BaseOf(store.Operands[0]) is { Op: Op.Alloca } slot && !aliasing.Escapes(slot)
                    && IsOverwritten(block, i + 1, store, slot, aliasing, 8))
                {
                    dead.Add(store);
                }
            }

            changed |= dead.Count > 0 && block.Nodes.RemoveAll(dead.Contains) > 0;
        }

        return changed;
    }

    private static bool IsOverwritten(Block block, int from, Node store, Node slot, Aliasing aliasing, int depth)
    {
        for (var i = from; i < block.Nodes.Count; i++)
        {
            var node = block.Nodes[i];
            switch (node.Op)
            {
                case Op.Store when Aliasing.BaseOf(node.Operands[0]) == slot:
                {
                    var start = store.Immediate + Aliasing.OffsetOf(store.Operands[0]);
                    var other = node.Immediate + Aliasing.OffsetOf(node.Operands[0]);
                    if (other <= start && other + node.Size >= start + store.Size)
                    {
                        return true;
                    }

                    break;
                }

                case Op.Load or Op.Atomic when aliasing.MayOverlap(node, node.Size, store, store.Size):
                    return false;
                case Op.Call when node.Operands.Any(o => Aliasing.BaseOf(o) == slot):
                    return false;
                case Op.Return or Op.Trap:
                    return true;
                case Op.Jump or Op.Branch or Op.Switch:
                    // Loops could read it in a block already passed; depth bounds the search either way.
                    return depth > 0 && node.Targets.Distinct().All(t => t != store.Block && IsOverwritten(t, 0, store, slot, aliasing, depth - 1));
            }
        }

        return false;
    }
}
