using Skep.Bpf.Compiler.Ir;
using Skep.Bpf.Compiler.Passes;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>Appends instructions to the current block, simplifying each at once so that code behind constant conditions is never translated.</summary>
internal sealed class Builder
{
    private readonly Dictionary<Block, List<Block>> _before = [];
    private readonly HashSet<Node> _exposed = [];

    public Builder(Function function)
    {
        Function = function;
        Current = function.NewBlock();
    }

    public Function Function { get; }

    public Block Current { get; set; }

    public SourcePosition Position { get; set; }

    /// <summary>False after a terminator: what follows cannot be reached.</summary>
    public bool IsReachable => !Current.IsTerminated;

    public Node Emit(Node node)
    {
        node.Position = Position;
        if (!IsReachable)
        {
            // The value is never computed; a constant keeps the translation going until the next leader.
            return node.Type == IrType.Void ? node : Node.Const(node.Type, 0);
        }

        // They may be yet: whether sums are taken together and halves for wholes is decided when all is translated.
        if (node.Op is Op.Add or Op.Subtract)
        {
            node.Operands[0].IsCompared = true;
        }
        else if (node is { Op: Op.ZeroExtend, Operands: [{ Op: Op.Truncate } half] })
        {
            half.Operands[0].IsComparedByHalf = true;
        }

        return Simplifier.Simplify(node) is { } better
            ? better.Block is null && !better.IsLeaf ? Emit(better) : better
            : Current.Append(node);
    }

    public Node Binary(Op op, IrType type, Node a, Node b) => Emit(new Node(op, type).With(a, b));

    public Node Compare(Condition condition, Node a, Node b) => Emit(new Node(Op.Compare, IrType.I32) { Condition = condition }.With(a, b));

    public Node Offset(Node address, long bytes) =>
        bytes == 0 ? address : Binary(Op.Add, IrType.Pointer, address, Node.Const(IrType.I64, bytes));

    public Node Load(Node address, long displacement, int size, IrType type) =>
        StraightLine.Recall(this, address, displacement, size, type) ?? Emit(new Node(Op.Load, type) { Size = size, Immediate = displacement }.With(address));

    /// <summary>All blocks that are before <paramref name="block"/>; null when others may come.</summary>
    public IReadOnlyList<Block>? Predecessors(Block block) => _before.GetValueOrDefault(block);

    /// <summary>Says that <paramref name="block"/> is reached from the current block, and promises that nobody leads there unsaid once it is begun.</summary>
    public void Continue(Block block)
    {
        if (!IsReachable)
        {
            return;
        }

        if (!_before.TryGetValue(block, out var before))
        {
            _before[block] = before = [];
        }

        before.Add(Current);
    }

    public void Store(Node address, long displacement, int size, Node value)
    {
        var stored = value;
        while (stored.Op is Op.Add or Op.Subtract)
        {
            stored = stored.Operands[0];
        }

        if (stored.Op == Op.Alloca)
        {
            _exposed.Add(stored);
        }

        Emit(new Node(Op.Store, IrType.Void) { Size = size, Immediate = displacement }.With(address, value));
    }

    /// <summary>Whether the address of a slot was stored anywhere, so that a pointer of unknown origin may be it.</summary>
    public bool IsExposed(Node slot) => _exposed.Contains(slot);

    public Node ZeroExtend(Node value) => value.Type == IrType.I32 ? Emit(new Node(Op.ZeroExtend, IrType.I64).With(value)) : value;

    public Node SignExtend(Node value, int fromBits, IrType type) => Emit(new Node(Op.SignExtend, type) { Immediate = fromBits }.With(value));

    public Node Truncate(Node value) => value.Type == IrType.I32 ? value : Emit(new Node(Op.Truncate, IrType.I32).With(value));

    public void Jump(Block target) => Terminate(new Node(Op.Jump, IrType.Void), target);

    public void Branch(Condition condition, Node a, Node b, Block whenTrue, Block whenFalse)
    {
        var node = new Node(Op.Branch, IrType.Void) { Condition = condition }.With(a, b);
        if (Decide(condition, a, b) is { } known)
        {
            Jump(known ? whenTrue : whenFalse);
        }
        else if (whenTrue == whenFalse)
        {
            Jump(whenTrue);
        }
        else
        {
            Terminate(node, whenTrue, whenFalse);
        }
    }

    /// <summary>The outcome of a branch when it is known now.</summary>
    public static bool? Decide(Condition condition, Node a, Node b) => Simplifier.Decide(condition, a, b);

    /// <summary>The state to which <see cref="Reset"/> can go back.</summary>
    public (Block Block, int Nodes, int Blocks, int Allocas, SourcePosition Position) Mark() =>
        (Current, Current.Nodes.Count, Function.Blocks.Count, Function.Allocas.Count, Position);

    /// <summary>Forgets everything built since <paramref name="mark"/>.</summary>
    public void Reset((Block Block, int Nodes, int Blocks, int Allocas, SourcePosition Position) mark)
    {
        Current = mark.Block;
        Position = mark.Position;
        Current.Nodes.RemoveRange(mark.Nodes, Current.Nodes.Count - mark.Nodes);
        Function.Blocks.RemoveRange(mark.Blocks, Function.Blocks.Count - mark.Blocks);
        Function.Allocas.RemoveRange(mark.Allocas, Function.Allocas.Count - mark.Allocas);
    }

    /// <summary>Ends the block with an error that counts only if optimisation leaves it reachable.</summary>
    public void Trap(string rule, string message) =>
        Terminate(new Node(Op.Trap, IrType.Void) { Payload = (rule, message) });

    public void Terminate(Node node, params ReadOnlySpan<Block> targets)
    {
        if (!IsReachable)
        {
            return;
        }

        node.Position = Position;
        node.Targets.AddRange(targets);
        Simplifier.Simplify(node);
        Current.Append(node);
    }
}
