namespace Skep.Bpf.Compiler.Ir;

/// <summary>One function in SSA form.</summary>
internal sealed class Function(string name)
{
    private int _nextBlock;
    private int _nextNode;

    public string Name { get; } = name;

    public Row<Block> Blocks { get; } = [];

    public List<Node> Allocas { get; } = [];

    /// <summary>What a caller passes in registers, in order; none in a program's main function, which has its context.</summary>
    public List<Node> Parameters { get; } = [];

    /// <summary>How the function is declared; null for a program's main function.</summary>
    public FunctionSignature? Signature { get; init; }

    /// <summary>What a call does; known once the function is optimised.</summary>
    public FunctionEffects? Effects { get; set; }

    public Node Context { get; } = new(Op.Context, IrType.Pointer) { Provenance = Provenance.Context };

    public Block Entry => Blocks[0];

    /// <summary>Where it begins in C#.</summary>
    public SourcePosition Position
    {
        get
        {
            foreach (var block in Blocks)
            {
                foreach (var node in block.Nodes)
                {
                    if (node.Position.Line > 0)
                    {
                        return node.Position;
                    }
                }
            }

            return default;
        }
    }

    public Block NewBlock()
    {
        var block = new Block(_nextBlock++);
        Blocks.Add(block);
        return block;
    }

    public Node NewAlloca(int size, string? name = null)
    {
        var node = new Node(Op.Alloca, IrType.Pointer) { Size = size, Provenance = Provenance.Stack, Payload = name };
        Allocas.Add(node);
        return node;
    }

    /// <summary>Drops unreachable blocks, orders the rest in reverse postorder, and recomputes predecessors.</summary>
    public void Normalize()
    {
        const int Unseen = -1, Open = -2;
        foreach (var block in Blocks)
        {
            block.Index = Unseen;
        }

        // On the way the block whose successors are looked at, and how many of them have been.
        var order = new Row<Block>(Blocks.Count);
        var (way, taken) = (new Row<Block> { Entry }, new Row<int> { 0 });
        Entry.Index = Open;
        while (way.Count > 0)
        {
            var block = way[^1];
            var successors = block.Successors;
            if (taken[^1] < successors.Count)
            {
                // Last target first, so that target 0 comes early in the final order.
                var successor = successors[successors.Count - ++taken[^1]];
                if (successor.Index == Unseen)
                {
                    successor.Index = Open;
                    way.Add(successor);
                    taken.Add(0);
                }
            }
            else
            {
                order.Add(block);
                way.RemoveAt(way.Count - 1);
                taken.RemoveAt(taken.Count - 1);
            }
        }

        order.Reverse();
        foreach (var dead in Blocks)
        {
            if (dead.Index == Unseen)
            {
                foreach (var successor in dead.Successors)
                {
                    if (successor.Index != Unseen)
                    {
                        successor.RemoveIncoming(dead);
                    }
                }
            }
        }

        Blocks.Clear();
        Blocks.AddRange(order);
        for (var i = 0; i < Blocks.Count; i++)
        {
            Blocks[i].Index = i;
            Blocks[i].Predecessors.Clear();
        }

        foreach (var block in Blocks)
        {
            foreach (var successor in block.Successors)
            {
                if (!successor.Predecessors.Contains(block))
                {
                    successor.Predecessors.Add(block);
                }
            }
        }
    }

    /// <summary>Replaces every operand by what took its place, and drops replaced instructions.</summary>
    public void ApplyReplacements()
    {
        foreach (var block in Blocks)
        {
            block.Nodes.RemoveAll(static n => n.Replacement is not null);
            var nodes = block.Nodes;
            for (var n = 0; n < nodes.Count; n++)
            {
                var operands = nodes[n].Operands;
                for (var i = 0; i < operands.Count; i++)
                {
                    if (operands[i].Replacement is not null)
                    {
                        operands[i] = operands[i].Resolve();
                    }
                }
            }
        }
    }

    /// <summary>Numbers the values in order, for dumps and dense tables; returns their count.</summary>
    public int Number()
    {
        _nextNode = 0;
        Context.Id = _nextNode++;
        foreach (var parameter in Parameters)
        {
            parameter.Id = _nextNode++;
        }

        foreach (var alloca in Allocas)
        {
            alloca.Id = _nextNode++;
        }

        foreach (var block in Blocks)
        {
            foreach (var node in block.Nodes)
            {
                node.Id = _nextNode++;
            }
        }

        return _nextNode;
    }

    /// <summary>How many times each value is an operand.</summary>
    public Dictionary<Node, int> CountUses()
    {
        var uses = new Dictionary<Node, int>();
        foreach (var block in Blocks)
        {
            foreach (var node in block.Nodes)
            {
                foreach (var operand in node.Operands)
                {
                    System.Runtime.InteropServices.CollectionsMarshal.GetValueRefOrAddDefault(uses, operand, out _)++;
                }
            }
        }

        return uses;
    }
}
