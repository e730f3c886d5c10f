using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Analyses;

/// <summary>Dominator tree and frontiers (Cooper, Harvey, Kennedy: A Simple, Fast Dominance Algorithm, 2001). Blocks must be in reverse postorder.</summary>
internal sealed class Dominators
{
    private readonly Function _function;
    private readonly int[] _immediate;
    private readonly int[] _enter;
    private readonly int[] _leave;

    public Dominators(Function function)
    {
        _function = function;
        var blocks = function.Blocks;
        for (var i = 0; i < blocks.Count; i++)
        {
            blocks[i].Index = i;
        }

        _immediate = new int[blocks.Count];
        Array.Fill(_immediate, -1);
        _immediate[0] = 0;
        for (var changed = true; changed;)
        {
            changed = false;
            for (var i = 1; i < blocks.Count; i++)
            {
                var dominator = -1;
                foreach (var predecessor in blocks[i].Predecessors)
                {
                    var p = predecessor.Index;
                    if (_immediate[p] >= 0)
                    {
                        dominator = dominator < 0 ? p : Intersect(p, dominator);
                    }
                }

                if (_immediate[i] != dominator)
                {
                    _immediate[i] = dominator;
                    changed = true;
                }
            }
        }

        Children = new List<int>[blocks.Count];
        for (var i = 0; i < blocks.Count; i++)
        {
            Children[i] = [];
        }

        for (var i = 1; i < blocks.Count; i++)
        {
            Children[_immediate[i]].Add(i);
        }

        _enter = new int[blocks.Count];
        _leave = new int[blocks.Count];
        var time = 0;

        // The complement of its number for a block that is left.
        var stack = new Stack<int>();
        stack.Push(0);
        while (stack.TryPop(out var block))
        {
            if (block < 0)
            {
                _leave[~block] = time++;
                continue;
            }

            _enter[block] = time++;
            stack.Push(~block);
            foreach (var child in Children[block])
            {
                stack.Push(child);
            }
        }
    }

    /// <summary>Children in the dominator tree, by index of the block.</summary>
    public List<int>[] Children { get; }

    public bool Dominates(Block a, Block b)
    {
        var (x, y) = (a.Index, b.Index);
        return _enter[x] <= _enter[y] && _leave[y] <= _leave[x];
    }

    public List<int>[] Frontiers()
    {
        var blocks = _function.Blocks;
        var frontiers = new List<int>[blocks.Count];
        for (var i = 0; i < blocks.Count; i++)
        {
            frontiers[i] = [];
        }

        for (var i = 0; i < blocks.Count; i++)
        {
            if (blocks[i].Predecessors.Count < 2)
            {
                continue;
            }

            foreach (var predecessor in blocks[i].Predecessors)
            {
                for (var runner = predecessor.Index; runner != _immediate[i]; runner = _immediate[runner])
                {
                    if (!frontiers[runner].Contains(i))
                    {
                        frontiers[runner].Add(i);
                    }
                }
            }
        }

        return frontiers;
    }

    private int Intersect(int a, int b)
    {
        while (a != b)
        {
            while (a > b)
            {
                a = _immediate[a];
            }

            while (b > a)
            {
                b = _immediate[b];
            }
        }

        return a;
    }
}
