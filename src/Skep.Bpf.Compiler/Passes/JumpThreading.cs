using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Passes;

/// <summary>
/// Sends a predecessor straight to where a small block will go when what the predecessor brings decides its test: a flag that was set on some paths and is
/// tested where they meet, a state that several cases choose and one comparison sorts out. The block is copied to the ends of such predecessors; its phis
/// become stack slots meanwhile, which promotion turns back into the right ones.
/// </summary>
internal sealed class JumpThreading : IPass
{
    private const int MostNodes = 8, MostPhis = 24;
    private const int MostCopies = 64;

    public string Why => "a test that a path has already answered is not asked again where paths meet";

    public bool Run(Function function)
    {
        var copies = 0;
        for (var b = function.Blocks.Count - 1; b > 0 && copies < MostCopies; b--)
        {
            var block = function.Blocks[b];
            if (!IsSmallTest(block) || !block.Predecessors.Exists(p => IsDecided(block, p) || Gathers(p, block)))
            {
                continue;
            }

            // What takes longest last.
            if (IsUsedOutside(function, block) || block.Predecessors.Exists(p => function.Blocks.IndexOf(p) >= b))
            {
                continue;
            }

            foreach (var predecessor in block.Predecessors.ToArray())
            {
                // One after the other: two may come from the same block.
                if (Gathers(predecessor, block) && IsPassable(function, predecessor, block))
                {
                    Bypass(predecessor, block);
                }
            }

            if (!block.Predecessors.Exists(p => IsDecided(block, p)))
            {
                continue;
            }

            SplitEdges(function, block);
            var decided = block.Predecessors.Where(p => IsDecided(block, p)).ToArray();
            PhisToMemory(function, block);
            foreach (var predecessor in decided)
            {
                Duplicate(block, predecessor);
                copies++;
            }
        }

        if (copies == 0)
        {
            return false;
        }

        function.Normalize();
        return true;
    }

    private static bool IsSmallTest(Block block) =>
        block.Predecessors.Count > 1 && block.Nodes.Count <= MostNodes + MostPhis && block.Nodes.Count(static n => n.Op != Op.Phi) <= MostNodes
        && block.Terminator.Op == Op.Branch && block.Nodes[0].Op == Op.Phi
        && block.Nodes.All(static n => n.Op is Op.Phi or Op.Compare or Op.Truncate or Op.ZeroExtend or Op.And || n.IsTerminator)
        && block.Terminator.Targets[0] != block.Terminator.Targets[1];

    /// <summary>
    /// Whether the test is answered, or becomes the comparison that <paramref name="predecessor"/> has made, with what comes from there; with <paramref name="before"/>, when that
    /// block comes from there.
    /// </summary>
    private static bool IsDecided(Block block, Block predecessor, Block? before = null)
    {
        var branch = block.Terminator;
        var (a, b) = (Incoming(branch.Operands[0]), Incoming(branch.Operands[1]));
        return Simplifier.Decide(branch.Condition, a, b) is not null || (a.Op == Op.Compare && b.IsConstant && a != branch.Operands[0]);

        Node Incoming(Node node) => From(block, predecessor, node) is var value && before is not null ? From(predecessor, before, value) : value;
    }

    private static Node From(Block block, Block predecessor, Node node) => node.Op == Op.Phi && node.Block == block ? node.Operands[node.Targets.IndexOf(predecessor)] : node;

    /// <summary>
    /// Whether a predecessor does nothing but gather values for the block, of which one that it gets decides the test: a method that returns from several places what another
    /// returns from several places.
    /// </summary>
    private static bool Gathers(Block gatherer, Block block) =>
        gatherer.Terminator.Op == Op.Jump && gatherer.Nodes[0].Op == Op.Phi && gatherer.Nodes.Count <= MostPhis && gatherer.Nodes.All(static n => n.Op == Op.Phi || n.IsTerminator)
        && gatherer.Predecessors.Exists(p => IsDecided(block, gatherer, p));

    /// <summary>Whether those before a gatherer may go on to the block themselves: by one edge each, none round a loop, and nothing else needs what it gathers.</summary>
    private static bool IsPassable(Function function, Block gatherer, Block block)
    {
        var index = function.Blocks.IndexOf(gatherer);
        if (gatherer.Predecessors.Exists(p => block.Predecessors.Contains(p) || function.Blocks.IndexOf(p) >= index))
        {
            return false;
        }

        return !function.Blocks.Exists(other => other.Nodes.Exists(n => n.Operands.Exists(o => o.Op == Op.Phi && o.Block == gatherer) && (other != block || n.Op != Op.Phi)));
    }

    private static void Bypass(Block gatherer, Block block)
    {
        foreach (var predecessor in gatherer.Predecessors)
        {
            var targets = predecessor.Terminator.Targets;
            for (var i = 0; i < targets.Count; i++)
            {
                targets[i] = targets[i] == gatherer ? block : targets[i];
            }

            block.Predecessors.Add(predecessor);
            foreach (var phi in block.Phis)
            {
                phi.AddOperand(From(gatherer, predecessor, From(block, gatherer, phi)));
                phi.Targets.Add(predecessor);
            }
        }

        block.RemoveIncoming(gatherer);
        block.Predecessors.Remove(gatherer);
        gatherer.Predecessors.Clear();
    }

    /// <summary>Values other than phis would need phis of their own behind the copies.</summary>
    private static bool IsUsedOutside(Function function, Block block)
    {
        var inside = block.Nodes.Where(static n => n.Op != Op.Phi).ToHashSet();
        return function.Blocks.Any(other => other != block && other.Nodes.Any(n => n.Operands.Any(inside.Contains)));
    }

    /// <summary>Each predecessor, which only jumps there, writes what it brings, and each user reads it.</summary>
    private static void PhisToMemory(Function function, Block block)
    {
        foreach (var phi in block.Phis.ToArray())
        {
            var slot = function.NewAlloca(phi.Type == IrType.I32 ? 4 : 8);
            for (var i = 0; i < phi.Operands.Count; i++)
            {
                // All values are read before any is written: phis of one block change together, and none of them reads another's slot before its store.
                Insert(phi.Targets[i], phi.Targets[i].Nodes.Count - 1, new Node(Op.Store, IrType.Void) { Size = slot.Size }.With(slot, phi.Operands[i]));
            }

            block.Nodes.Remove(phi);
            foreach (var user in function.Blocks.ToArray())
            {
                ReadIn(user, phi, slot);
            }
        }
    }

    private static void ReadIn(Block user, Node phi, Node slot)
    {
        for (var i = 0; i < user.Nodes.Count; i++)
        {
            var node = user.Nodes[i];
            for (var o = 0; o < node.Operands.Count; o++)
            {
                if (node.Operands[o] != phi)
                {
                    continue;
                }

                var load = new Node(Op.Load, phi.Type) { Size = slot.Size, Position = node.Position }.With(slot);
                if (node.Op == Op.Phi)
                {
                    Insert(node.Targets[o], node.Targets[o].Nodes.Count - 1, load);
                }
                else
                {
                    Insert(user, i++, load);
                }

                node.Operands[o] = load;
            }
        }
    }

    /// <summary>Gives every edge into the block a block of its own that only jumps, unless its predecessor does that already.</summary>
    private static void SplitEdges(Function function, Block block)
    {
        foreach (var predecessor in block.Predecessors.Where(static p => p.Terminator.Op != Op.Jump).ToArray())
        {
            var between = function.NewBlock();
            between.Append(new Node(Op.Jump, IrType.Void) { Position = predecessor.Terminator.Position }).Targets.Add(block);
            between.Predecessors.Add(predecessor);
            block.ReplaceIncoming(predecessor, between);
            block.Predecessors[block.Predecessors.IndexOf(predecessor)] = between;
            var targets = predecessor.Terminator.Targets;
            for (var i = 0; i < targets.Count; i++)
            {
                targets[i] = targets[i] == block ? between : targets[i];
            }
        }
    }

    private static void Duplicate(Block block, Block predecessor)
    {
        predecessor.Nodes.RemoveAt(predecessor.Nodes.Count - 1);
        var copies = new Dictionary<Node, Node>();
        foreach (var node in block.Nodes)
        {
            var copy = node.Copy(o => copies.GetValueOrDefault(o, o));
            copies[node] = copy;
            predecessor.Append(copy);
        }

        block.Predecessors.Remove(predecessor);
        foreach (var successor in block.Successors)
        {
            successor.Predecessors.Add(predecessor);
            foreach (var phi in successor.Phis)
            {
                var operand = phi.Operands[phi.Targets.IndexOf(block)];
                phi.AddOperand(copies.GetValueOrDefault(operand, operand));
                phi.Targets.Add(predecessor);
            }
        }
    }

    private static void Insert(Block block, int at, Node node)
    {
        node.Block = block;
        block.Nodes.Insert(at, node);
    }
}
