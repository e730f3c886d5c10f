using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Passes;

/// <summary>
/// Cuts a struct on the stack into parts: what a helper gets by address becomes a slot of its own,
/// so that the other fields can still live in registers.
/// </summary>
internal sealed class StackSplitting : IPass
{
    public string Why => "the fields of a struct that no helper needs by address can be promoted";

    public bool Run(Function function)
    {
        var uses = new Dictionary<Node, List<Use>>();
        var whole = new HashSet<Node>();
        foreach (var alloca in function.Allocas)
        {
            uses[alloca] = [];
        }

        foreach (var block in function.Blocks)
        {
            foreach (var node in block.Nodes)
            {
                Collect(node, uses, whole);
            }
        }

        var changed = false;
        foreach (var alloca in function.Allocas.ToArray())
        {
            if (!whole.Contains(alloca))
            {
                changed |= Split(function, alloca, uses[alloca]);
            }
        }

        return changed;
    }

    private static void Collect(Node node, Dictionary<Node, List<Use>> uses, HashSet<Node> whole)
    {
        for (var i = 0; i < node.Operands.Count; i++)
        {
            var (alloca, offset) = AddressOf(node.Operands[i]);
            if (alloca is null)
            {
                continue;
            }

            switch (node.Op)
            {
                case Op.Load or Op.Store or Op.Atomic when i == 0:
                    uses[alloca].Add(new Use(node, i, offset + (int)node.Immediate, node.Size));
                    break;
                case Op.Call when ((HelperCall)node.Payload!).Arguments[i].Extent is > 0 and var extent:
                    uses[alloca].Add(new Use(node, i, offset, extent));
                    break;
                case Op.Add when node.Operands[1].IsConstant:
                    // Counted where the sum is used.
                    break;
                default:
                    whole.Add(alloca);
                    break;
            }
        }
    }

    private static (Node? Alloca, int Offset) AddressOf(Node node) => node.Op switch
    {
        Op.Alloca => (node, 0),
        Op.Add when node.Operands[0].Op == Op.Alloca && node.Operands[1].IsConstant => (node.Operands[0], (int)node.Operands[1].Immediate),
        _ => (null, 0),
    };

    private static bool Split(Function function, Node alloca, List<Use> uses)
    {
        uses.Sort(static (a, b) => a.Offset.CompareTo(b.Offset));
        if (uses.Count == 0 || uses[0].Offset < 0 || uses.Any(u => u.Offset + u.Size > alloca.Size))
        {
            return false;
        }

        // Parts are the connected ranges of overlapping accesses.
        var parts = new List<(int Start, int End)>();
        foreach (var use in uses)
        {
            if (parts.Count > 0 && use.Offset < parts[^1].End)
            {
                parts[^1] = (parts[^1].Start, Math.Max(parts[^1].End, use.Offset + use.Size));
            }
            else
            {
                parts.Add((use.Offset, use.Offset + use.Size));
            }
        }

        if (parts.Count == 1)
        {
            return false;
        }

        var slots = parts.ConvertAll(p => function.NewAlloca(p.End - p.Start, alloca.Payload as string));
        foreach (var use in uses)
        {
            var part = parts.FindIndex(p => use.Offset >= p.Start && use.Offset < p.End);
            use.Node.Operands[use.Operand] = use.Node.Op == Op.Call && use.Offset != parts[part].Start
                ? Sum(use.Node, slots[part], use.Offset - parts[part].Start)
                : slots[part];
            if (use.Node.Op != Op.Call)
            {
                use.Node.Immediate = use.Offset - parts[part].Start;
            }
        }

        return true;
    }

    private static Node Sum(Node user, Node alloca, int offset)
    {
        var sum = new Node(Op.Add, IrType.Pointer) { Block = user.Block, Position = user.Position }.With(alloca, Node.Const(IrType.I64, offset));
        user.Block!.Nodes.Insert(user.Block.Nodes.IndexOf(user), sum);
        return sum;
    }

    private sealed record Use(Node Node, int Operand, int Offset, int Size);
}
