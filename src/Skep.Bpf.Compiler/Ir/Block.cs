namespace Skep.Bpf.Compiler.Ir;

/// <summary>A basic block: phis first, one terminator last.</summary>
internal sealed class Block(int id)
{
    private static readonly List<Block> s_none = [];

    public int Id { get; } = id;

    public List<Node> Nodes { get; set; } = [];

    public List<Block> Predecessors { get; } = [];

    public int LoopDepth { get; set; }

    public Node Terminator => Nodes[^1];

    public bool IsTerminated => Nodes.Count > 0 && Nodes[^1].IsTerminator;

    public List<Block> Successors => IsTerminated ? Nodes[^1].Targets : s_none;

    public IEnumerable<Node> Phis => Nodes.TakeWhile(n => n.Op == Op.Phi);

    public Node Append(Node node)
    {
        node.Block = this;
        Nodes.Add(node);
        return node;
    }

    /// <summary>Forgets the edge from <paramref name="predecessor"/> in the phis.</summary>
    public void RemoveIncoming(Block predecessor)
    {
        foreach (var phi in Phis)
        {
            var index = phi.Targets.IndexOf(predecessor);
            if (index >= 0)
            {
                phi.Targets.RemoveAt(index);
                phi.Operands.RemoveAt(index);
            }
        }
    }

    public void ReplaceIncoming(Block from, Block to)
    {
        foreach (var phi in Phis)
        {
            var index = phi.Targets.IndexOf(from);
            if (index >= 0)
            {
                phi.Targets[index] = to;
            }
        }
    }

    public override string ToString() => $"b{Id}";
}
