namespace Skep.Bpf.Compiler.Ir;

/// <summary>A value or an instruction of the SSA form.</summary>
internal sealed class Node(Op op, IrType type)
{
    private static readonly Row<Node> s_noOperands = [];
    private Row<Node>? _operands;
    private Row<Block>? _targets;

    /// <summary>Number in its function as of the last <see cref="Function.Number"/>; -1 for what has none, such as a constant.</summary>
    public int Id { get; set; } = -1;

    public Op Op { get; set; } = op;

    public IrType Type { get; set; } = type;

    public Condition Condition { get; set; }

    /// <summary>Bytes of a memory access or stack slot.</summary>
    public int Size { get; set; }

    /// <summary>Constant, displacement, helper number or bit count, as the operation says.</summary>
    public long Immediate { get; set; }

    /// <summary>The map, frozen object, boxed frozen struct, or message of a trap.</summary>
    public object? Payload { get; set; }

    /// <summary>What a load from the context yields, and whether a call clobbers packet pointers: kept for checks and lowering.</summary>
    public Provenance Provenance { get; set; }

    /// <summary>A call after which packet pointers are dead.</summary>
    public bool ClobbersPacket { get; set; }

    public SourcePosition Position { get; set; }

    public Block? Block { get; set; }

    public Row<Node> Operands => _operands ?? s_noOperands;

    /// <summary>Successors of a terminator; for a phi, the predecessor that each operand comes from.</summary>
    public Row<Block> Targets => _targets ??= [];

    /// <summary>Set while a pass runs: the value that takes this one's place.</summary>
    public Node? Replacement { get; set; }

    /// <summary>Set while a pass runs: a branch or a comparison asks about the value.</summary>
    public bool IsCompared { get; set; }

    /// <summary>Set while a pass runs: a branch or a comparison asks about the lower 32 bits of the 64 of the value.</summary>
    public bool IsComparedByHalf { get; set; }

    public bool IsLeaf => Op <= Op.Alloca;

    public bool IsTerminator => Op >= Op.Jump;

    public bool HasEffect => Op is Op.Store or Op.Atomic or Op.Call || IsTerminator;

    public bool IsConstant => Op == Op.Constant;

    public bool IsFrozen => Op is Op.FrozenObject or Op.FrozenStruct or Op.Map;

    public bool IsConstantValue(long value) => Op == Op.Constant && Immediate == value;

    public Node With(params ReadOnlySpan<Node> operands)
    {
        _operands = [.. operands];
        return this;
    }

    public void AddOperand(Node operand) => (_operands ??= []).Add(operand);

    /// <summary>The value after all replacements made so far.</summary>
    public Node Resolve()
    {
        var node = this;
        while (node.Replacement is { } next)
        {
            node = next;
        }

        return node;
    }

    /// <summary>The same operation on other operands; targets are those of the original.</summary>
    public Node Copy(Func<Node, Node> operand)
    {
        var copy = new Node(Op, Type)
        {
            Condition = Condition,
            Size = Size,
            Immediate = Immediate,
            Payload = Payload,
            Provenance = Provenance,
            ClobbersPacket = ClobbersPacket,
            Position = Position,
        };
        foreach (var old in Operands)
        {
            copy.AddOperand(operand(old));
        }

        if (_targets is not null)
        {
            copy.Targets.AddRange(_targets);
        }

        return copy;
    }

    public override string ToString() => IrPrinter.Describe(this);

    /// <summary>Constants are kept canonical: 32-bit ones zero-extended.</summary>
    public static Node Const(IrType type, long value) =>
        new(Op.Constant, type) { Immediate = type == IrType.I32 ? (uint)value : value };
}

/// <summary>Where a pointer points, as the kernel's verifier will see it.</summary>
internal enum Provenance : byte
{
    None,
    Context,
    Packet,
    PacketEnd,
    PacketMeta,
    MapValue,
    Map,
    Stack,
    Kernel,
}
