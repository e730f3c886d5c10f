using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Passes;

/// <summary>
/// Uses a value already read from or written to memory instead of reading it again.
/// Works inside extended basic blocks: a block with a single predecessor begins with what that one knew.
/// </summary>
internal sealed class MemoryForwarding : IPass
{
    public string Why => "memory is read once";

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

        return changed;
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
}
