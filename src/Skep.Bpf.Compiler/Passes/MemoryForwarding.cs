using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Passes;

/// <summary>
/// Uses a value already read from or written to memory instead of reading it again. A block begins with what its predecessors know at their ends;
/// where they know different values of the same place, a phi takes the place of the read. What loops do to memory is not followed.
/// </summary>
internal sealed class MemoryForwarding : IPass
{
    public string Why => "memory is read once";

    public bool Run(Function function)
    {
        var aliasing = new Aliasing(function);
        var changed = false;
        var tested = new HashSet<Node>();
        foreach (var block in function.Blocks)
        {
            if (block.Terminator is var end && (end.Op == Op.Switch || IsTest(end)))
            {
                tested.Add(end.Operands[0]);
            }
        }

        var vague = VagueSlots.Find(function);
        var atEnd = new List<Known>?[function.Blocks.Count];
        foreach (var block in function.Blocks)
        {
            var known = AtStart(block, atEnd, tested);

            // Meanwhile this and earlier blocks may get phis.
            foreach (var node in block.Nodes.ToArray())
            {
                for (var i = 0; i < node.Operands.Count; i++)
                {
                    node.Operands[i] = node.Operands[i].Resolve();
                }

                if (node.Op != Op.Load || !vague.Contains(node.Operands[0]))
                {
                    changed |= Visit(node, known, aliasing);
                }
            }

            atEnd[block.Index] = known;
        }

        if (changed)
        {
            function.ApplyReplacements();
        }

        return changed;
    }

    private static bool IsTest(Node branch) => branch.Op == Op.Branch && branch.Condition is Condition.Equal or Condition.NotEqual && branch.Operands[1].IsConstant;

    /// <summary>
    /// What is known on all paths. A value that was compared for being equal to a constant is better read anew where paths meet: in a register the
    /// verifier would know it apart on each of them, and walk what follows once for each.
    /// </summary>
    private static List<Known> AtStart(Block block, List<Known>?[] atEnd, HashSet<Node> tested)
    {
        var before = block.Predecessors;
        foreach (var predecessor in before)
        {
            if (atEnd[predecessor.Index] is null)
            {
                return [];
            }
        }

        if (before.Count < 2)
        {
            return before.Count == 0 ? [] : [.. atEnd[before[0].Index]!];
        }

        var result = new List<Known>();
        foreach (var first in atEnd[before[0].Index]!)
        {
            if (!tested.Contains(first.Access) && Meet(block, first, atEnd) is { } met)
            {
                result.Add(met);
            }
        }

        return result;
    }

    /// <summary>What all predecessors know of a place; null when one knows nothing.</summary>
    private static Known? Meet(Block block, Known first, List<Known>?[] atEnd)
    {
        var before = block.Predecessors;
        Known[]? others = null;
        for (var i = 0; i < before.Count; i++)
        {
            if (Find(atEnd[before[i].Index]!, first.Base, first.Offset, first.Access.Size) is not { } found)
            {
                return null;
            }

            if (others is null && found != first)
            {
                // The same on all before.
                others = new Known[before.Count];
                others.AsSpan(0, i).Fill(first);
            }

            others?[i] = found;
        }

        return others is null ? first : new Known(first.Access, block, others);
    }

    private static Known? Find(List<Known> known, Node place, long offset, int size)
    {
        foreach (var candidate in known)
        {
            if (candidate.Base == place && candidate.Offset == offset && candidate.Access.Size == size)
            {
                return candidate;
            }
        }

        return null;
    }

    private static bool Visit(Node node, List<Known> known, Aliasing aliasing)
    {
        switch (node.Op)
        {
            case Op.Load:
                if (Find(known, Aliasing.BaseOf(node.Operands[0]), node.Immediate + Aliasing.OffsetOf(node.Operands[0]), node.Size) is { } earlier)
                {
                    if (earlier.Fits(node.Type))
                    {
                        node.Replacement = earlier.Value();
                        return true;
                    }

                    known.Remove(earlier);
                }

                known.Add(new Known(node));
                return false;
            case Op.Store:
                known.RemoveAll(k => aliasing.MayOverlap(k.Access, k.Access.Size, node, node.Size));
                known.Add(new Known(node));
                return false;
            case Op.Atomic:
                known.RemoveAll(k => aliasing.MayOverlap(k.Access, k.Access.Size, node, node.Size));
                return false;
            case Op.Call:
                known.RemoveAll(k => Clobbers(node, k.Access, aliasing));
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
                return call.ClobbersPacket || (((HelperCall)call.Payload!).WritesContext && access.Provenance == Provenance.None);
            case Provenance.Packet:
                return call.ClobbersPacket || ((HelperCall)call.Payload!).WritesMemory;
            default:
                // Map values change under other CPUs and under updates.
                return true;
        }
    }

    /// <summary>A place in memory whose content is known: by an access, or by one on each path into a block.</summary>
    private sealed class Known(Node access, Block? join = null, Known[]? paths = null)
    {
        private Node? _value;

        // A bit for each type of a read.
        private int _asked;
        private int _fitting;

        /// <summary>The access, or one of them: it says which place is meant.</summary>
        public Node Access { get; } = access;

        /// <summary>What the address is computed from, and how far from there.</summary>
        public Node Base { get; } = Aliasing.BaseOf(access.Operands[0]);

        public long Offset { get; } = access.Immediate + Aliasing.OffsetOf(access.Operands[0]);

        /// <summary>Whether a read may be replaced by the content; asked once for each type, since paths that part and meet again share what they know.</summary>
        public bool Fits(IrType type)
        {
            var bit = 1 << (int)type;
            if ((_asked & bit) == 0)
            {
                _asked |= bit;
                _fitting |= MayReplace(type) ? bit : 0;
            }

            return (_fitting & bit) != 0;
        }

        /// <summary>The content; where paths meet, a phi is made once.</summary>
        public Node Value()
        {
            if (paths is null)
            {
                return Content;
            }

            if (_value is null)
            {
                var values = Array.ConvertAll(paths, static p => p.Value());
                _value = Array.TrueForAll(values, v => v == values[0]) ? values[0] : Phi(values);
            }

            return _value.Resolve();
        }

        private IrType Type => paths is null ? Content.Type : paths[0].Type;

        private Node Content => (Access.Op == Op.Load ? Access : Access.Operands[1]).Resolve();

        private bool MayReplace(IrType type)
        {
            if (paths is not null)
            {
                // A pointer stays the one that was read on this very path: the verifier must not see two merged.
                var fits = type != IrType.Pointer;
                for (var i = 0; i < paths.Length && fits; i++)
                {
                    fits = paths[i].Type == type && paths[i].Fits(type);
                }

                return fits;
            }

            var value = Content;
            return (value.Type == type || (value.Type != IrType.I32 && type != IrType.I32))

                // A narrow store keeps only the low bits, which the value must not exceed; the verifier has to see that, for a mask may be gone because of the load.
                && (Access.Op != Op.Store || Access.Size >= 4 || (KnownBits.VerifiedBits(value) >> (Access.Size * 8)) == 0);
        }

        private Node Phi(Node[] values)
        {
            var phi = new Node(Op.Phi, values[0].Type == IrType.I32 ? IrType.I32 : IrType.I64) { Block = join, Position = Access.Position }.With(values);
            phi.Targets.AddRange(join!.Predecessors);
            join.Nodes.Insert(0, phi);
            return phi;
        }
    }
}
