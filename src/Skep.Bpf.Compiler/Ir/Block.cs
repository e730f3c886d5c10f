using System.Collections;

namespace Skep.Bpf.Compiler.Ir;

/// <summary>A basic block: phis first, one terminator last.</summary>
internal sealed class Block(int id)
{
    private static readonly Row<Block> s_none = [];

    public int Id { get; } = id;

    /// <summary>Place among the blocks of the function as of the last <see cref="Function.Normalize"/>.</summary>
    public int Index { get; set; }

    public Row<Node> Nodes { get; set; } = [];

    public Row<Block> Predecessors { get; } = [];

    public int LoopDepth { get; set; }

    public Node Terminator => Nodes[^1];

    public bool IsTerminated => Nodes.Count > 0 && Nodes[^1].IsTerminator;

    public Row<Block> Successors => IsTerminated ? Nodes[^1].Targets : s_none;

    public PhiSequence Phis => new(this);

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

/// <summary>The phis at the start of a block.</summary>
internal readonly struct PhiSequence(Block block) : IEnumerable<Node>
{
    public Enumerator GetEnumerator() => new(block.Nodes);

    IEnumerator<Node> IEnumerable<Node>.GetEnumerator() => block.Nodes.TakeWhile(static n => n.Op == Op.Phi).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => ((IEnumerable<Node>)this).GetEnumerator();

    /// <summary>Goes through them without an allocation.</summary>
    internal struct Enumerator(Row<Node> nodes)
    {
        private int _index = -1;

        public readonly Node Current => nodes[_index];

        public bool MoveNext() => ++_index < nodes.Count && nodes[_index].Op == Op.Phi;
    }
}
