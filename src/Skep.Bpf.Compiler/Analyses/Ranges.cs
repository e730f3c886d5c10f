using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Analyses;

/// <summary>
/// Which numbers a value can have at a place, as a signed range: from how it is computed, from the branches that lead there, and from the shape of
/// counting loops. Used to prove that an index is inside of its span; nothing that the verifier relies on is removed with it.
/// <para>
/// The kernel's verifier follows registers: a number that was computed keeps the range that it got where it was computed, whatever is learned of its operands
/// afterwards (in <c>y > 0 ? buffer[y - 1] : 0</c>, once <c>y - 1</c> was computed before the test), and it knows nothing of quotients and remainders. Below
/// instruction set level 3, numbers of 32 bits with a sign are shifted up before they are compared, and it learns nothing of what was shifted, nor of what may be negative.
/// Before kernel 6.8 it learns no bound from a number that is not equal to its least or greatest.
/// </para>
/// </summary>
internal sealed class Ranges
{
    private const int DepthLimit = 10;
    private const int MostTests = 4; // that are asked whether they can hold together
    private const int MostJoined = 4; // ways that are compared where they meet

    private static readonly Version s_firstThatLearnsFromUnequal = new(6, 8);

    private readonly Dictionary<Block, Block?> _parents;
    private readonly HashSet<Node> _open = [];
    private readonly Stack<Block> _again = [];
    private readonly bool _verified;
    private readonly bool _comparesHalves = true;
    private readonly bool _learnsFromUnequal = true;

    public Ranges(Function function)
    {
        _parents = [];
        var dominators = new Dominators(function);
        _parents[function.Entry] = null;
        for (var i = 0; i < function.Blocks.Count; i++)
        {
            foreach (var child in dominators.Children[i])
            {
                if (child != i)
                {
                    _parents[function.Blocks[child]] = function.Blocks[i];
                }
            }
        }
    }

    private Ranges(Dictionary<Block, Block?> parents, CompileTarget target)
    {
        _parents = parents;
        _verified = true;
        _comparesHalves = target.IsaLevel >= 3;
        _learnsFromUnequal = target.Kernel >= s_firstThatLearnsFromUnequal;
    }

    /// <summary>The same function, but only what the verifier knows of it, too.</summary>
    public Ranges AsVerified(CompileTarget target) => new(_parents, target);

    /// <summary>The outcome of a branch, when it is the same for every value that can arrive.</summary>
    public bool? Decide(Node branch)
    {
        var (a, b) = (branch.Operands[0], branch.Operands[1]);
        if (a.Type == IrType.Pointer || b.Type == IrType.Pointer)
        {
            return null;
        }

        var block = branch.Block!;
        var (left, right) = (Of(a, block), Of(b, block));
        return Compare(branch.Condition, left, right) ?? ByOrder(branch.Condition, a, b, left, block);
    }

    /// <summary>
    /// A block on the only way to <paramref name="block"/> that is never entered: the tests before it contradict each other, or what is known of the numbers
    /// they compare. Null when none is found among the last.
    /// </summary>
    public Block? NeverEntered(Block block)
    {
        var (at, tests) = (block, 0);
        for (; at is not null && tests < MostTests; at = _parents.GetValueOrDefault(at))
        {
            if (FactOn(at) is var (_, a, b))
            {
                tests++;
                if (IsEmpty(a, at) || IsEmpty(b, at))
                {
                    return at;
                }
            }
        }

        return null;
    }

    private bool IsEmpty(Node node, Block block) =>
        node.Type != IrType.Pointer && Refine(node, block, Computed(node, block, 0), 0) is var range && range.Low > range.High;

    /// <summary>The range of a value at the start of a block and after its branch-free part.</summary>
    public Range Of(Node node, Block block, int depth = 0)
    {
        var range = Refine(node, block, Computed(node, block, depth), depth);
        return range.Low <= range.High ? range : Range.Full(node.Type);
    }

    private static bool? Compare(Condition condition, Range a, Range b)
    {
        // Unsigned order is signed order where nothing is negative.
        if (!condition.IsSigned() && condition is not (Condition.Equal or Condition.NotEqual) && (a.Low < 0 || b.Low < 0))
        {
            return null;
        }

        return condition switch
        {
            Condition.Equal => a.High < b.Low || b.High < a.Low ? false : a.IsOne && a == b ? true : null,
            Condition.NotEqual => a.High < b.Low || b.High < a.Low ? true : a.IsOne && a == b ? false : null,
            Condition.LessSigned or Condition.LessUnsigned => a.High < b.Low ? true : a.Low >= b.High ? false : null,
            Condition.LessOrEqualSigned or Condition.LessOrEqualUnsigned => a.High <= b.Low ? true : a.Low > b.High ? false : null,
            Condition.GreaterSigned or Condition.GreaterUnsigned => a.Low > b.High ? true : a.High <= b.Low ? false : null,
            _ => a.Low >= b.High ? true : a.High < b.Low ? false : null,
        };
    }

    /// <summary>A length that is no constant: a branch on the way compared the same two values.</summary>
    private bool? ByOrder(Condition condition, Node a, Node b, Range left, Block block)
    {
        if (left.Low < 0)
        {
            return null;
        }

        foreach (var (fact, x, y) in Facts(block))
        {
            var order = x == a && y == b ? fact : x == b && y == a ? fact.Swap() : (Condition?)null;
            if (order is Condition.LessSigned or Condition.LessUnsigned)
            {
                return condition switch
                {
                    Condition.LessSigned or Condition.LessUnsigned or Condition.LessOrEqualSigned or Condition.LessOrEqualUnsigned or Condition.NotEqual => true,
                    _ => false,
                };
            }
        }

        return null;
    }

    private Range Computed(Node node, Block block, int depth)
    {
        var range = Result(node, block, depth);

        // The upper half that such a number has before it is cut off is all that the verifier knows of it.
        return !_comparesHalves && node.Type == IrType.I32 && range.Low < 0 && !node.IsConstant && node.Op != Op.Phi ? Range.Full(IrType.I32) : range;
    }

    private Range Result(Node node, Block block, int depth)
    {
        var full = Range.Full(node.Type);
        if (node.IsConstant)
        {
            var value = node.Type == IrType.I32 ? (int)node.Immediate : node.Immediate;
            return new Range(value, value);
        }

        if (depth > DepthLimit)
        {
            return full;
        }

        block = _verified ? node.Block ?? block : block;
        var known = _verified ? KnownBits.VerifiedBits(node) : KnownBits.PossibleBits(node);
        if (known <= (ulong)full.High)
        {
            full = new Range(0, (long)known);
        }

        switch (node.Op)
        {
            case Op.ZeroExtend:
                var inner = Of(node.Operands[0], block, depth + 1);
                return inner.Low >= 0 ? inner : new Range(0, uint.MaxValue);
            case Op.SignExtend when node.Immediate == 32:
                return Of(node.Operands[0], block, depth + 1);
            case Op.Truncate:
                var wide = Of(node.Operands[0], block, depth + 1);
                return wide.Low >= int.MinValue && wide.High <= int.MaxValue ? wide : full;
            case Op.Add:
                return Sum(node.Type, Of(node.Operands[0], block, depth + 1), Of(node.Operands[1], block, depth + 1), full);
            case Op.Subtract:
                var taken = Of(node.Operands[1], block, depth + 1);
                return taken.Low == long.MinValue ? full : Sum(node.Type, Of(node.Operands[0], block, depth + 1), new Range(-taken.High, -taken.Low), full);
            case Op.Multiply or Op.ShiftLeft when node.Operands[1].IsConstant:
                return Scaled(Of(node.Operands[0], block, depth + 1), node, full);
            case Op.ShiftRightUnsigned or Op.ShiftRightSigned or Op.DivideUnsigned
                when node.Operands[1] is { IsConstant: true, Immediate: >= 0 and var by } && !(_verified && node.Op == Op.DivideUnsigned):
                var dividend = Of(node.Operands[0], block, depth + 1);
                return dividend.Low < 0 || (node.Op == Op.DivideUnsigned && by == 0) ? full
                    : node.Op == Op.DivideUnsigned ? new Range(dividend.Low / by, dividend.High / by) : new Range(dividend.Low >> (int)by, dividend.High >> (int)by);
            case Op.RemainderUnsigned when node.Operands[1] is { IsConstant: true, Immediate: > 0 and var divisor } && !_verified:
                return new Range(0, Math.Min(divisor - 1, full.High));
            case Op.Phi:
                return Merged(node, depth);
            default:
                return full;
        }
    }

    private static Range Sum(IrType type, Range a, Range b, Range otherwise)
    {
        var (low, high) = (a.Low + b.Low, a.High + b.High);
        var overflows = ((a.Low ^ low) & (b.Low ^ low)) < 0 || ((a.High ^ high) & (b.High ^ high)) < 0;
        var limits = Range.Full(type);
        return !overflows && low >= limits.Low && high <= limits.High ? new Range(low, high) : otherwise;
    }

    private Range Scaled(Range a, Node node, Range full)
    {
        var by = node.Op == Op.Multiply ? node.Operands[1].Immediate : 1L << (int)(node.Operands[1].Immediate & 63);
        var most = _verified && node.Op == Op.Multiply ? node.Type == IrType.I32 ? ushort.MaxValue : uint.MaxValue : long.MaxValue;
        if (a.Low < 0 || by <= 0 || a.High > most || by > most)
        {
            return full;
        }

        // Neither is negative.
        return a.High <= Range.Full(node.Type).High / by ? new Range(a.Low * by, a.High * by) : full;
    }

    /// <summary>A phi is as wide as what arrives; one that counts is bounded by its start on one side and by the loop's test on the other.</summary>
    private Range Merged(Node phi, int depth)
    {
        var full = Range.Full(phi.Type);
        if (!_open.Add(phi))
        {
            return full;
        }

        try
        {
            Range? whole = null;
            for (var i = 0; i < phi.Operands.Count; i++)
            {
                var (operand, from) = (phi.Operands[i], phi.Targets[i]);
                if (operand == phi)
                {
                    continue;
                }

                var arriving = OnEdge(operand, from, phi.Block!, depth + 1);
                if (operand is { Op: Op.Add } step && step.Operands[0] == phi && step.Operands[1].IsConstant)
                {
                    // The step cannot wrap when the value before it is bounded, so it only leads away from the start.
                    var by = phi.Type == IrType.I32 ? (int)step.Operands[1].Immediate : step.Operands[1].Immediate;
                    var before = Of(phi, step.Block!, depth + 1);
                    if (by > 0 && before.High <= full.High - by)
                    {
                        arriving = new Range(long.MaxValue, Math.Min(arriving.High, before.High + by));
                    }
                    else if (by < 0 && before.Low >= full.Low - by)
                    {
                        arriving = new Range(Math.Max(arriving.Low, before.Low + by), long.MinValue);
                    }
                }

                whole = whole is { } w ? new Range(Math.Min(w.Low, arriving.Low), Math.Max(w.High, arriving.High)) : arriving;
            }

            return whole is { } all && all.Low <= all.High ? all : full;
        }
        finally
        {
            _open.Remove(phi);
        }
    }

    private Range OnEdge(Node operand, Block from, Block to, int depth) => OnEdge(operand, Of(operand, from, depth), from, to, depth);

    private Range OnEdge(Node operand, Range range, Block from, Block to, int depth) =>
        from.Terminator is { Op: Op.Branch } branch && branch.Targets[0] != branch.Targets[1]
            ? Narrow(operand, range, branch.Targets[0] == to ? branch.Condition : branch.Condition.Negate(), branch.Operands[0], branch.Operands[1], from, depth)
            : range;

    /// <summary>What the branches on the way to the block say: all on the only way, and those that every way to a join agrees on.</summary>
    private Range Refine(Node node, Block block, Range range, int depth)
    {
        if (node.IsConstant)
        {
            return range;
        }

        var before = _again.Count;
        for (var at = block; at is not null; at = at == node.Block ? null : _parents.GetValueOrDefault(at))
        {
            if (FactOn(at) is var (condition, a, b))
            {
                range = Narrow(node, range, condition, a, b, at, depth);
                if (condition is Condition.NotEqual or Condition.GreaterUnsigned or Condition.GreaterOrEqualUnsigned && (a == node || b == node))
                {
                    _again.Push(at);
                }
            }
            else if (at.Predecessors.Count is > 1 and <= MostJoined && at != node.Block && _parents.GetValueOrDefault(at) is { } fork)
            {
                range = Joined(node, range, at, fork, depth);
            }
        }

        // That a number is not 0, or above another, says more once the tests before have said that it is not negative.
        while (_again.Count > before)
        {
            var at = _again.Pop();
            var (condition, a, b) = FactOn(at)!.Value;
            range = Narrow(node, range, condition, a, b, at, depth);
        }

        return range;
    }

    /// <summary>
    /// The widest of what is known on each way from <paramref name="fork"/>, the last block before the ways part, to where they meet; empty when none can be gone.
    /// </summary>
    private Range Joined(Node node, Range range, Block join, Block fork, int depth)
    {
        Range? whole = null;
        foreach (var from in join.Predecessors)
        {
            var arriving = OnEdge(node, range, from, join, depth);
            for (var at = from; at is not null && at != fork && arriving.Low <= arriving.High; at = _parents.GetValueOrDefault(at))
            {
                arriving = FactOn(at) is var (condition, a, b) ? Narrow(node, arriving, condition, a, b, at, depth) : arriving;
            }

            if (arriving.Low <= arriving.High)
            {
                whole = whole is { } w ? new Range(Math.Min(w.Low, arriving.Low), Math.Max(w.High, arriving.High)) : arriving;
            }
        }

        // No way that can be gone: nor can what follows.
        return whole ?? Range.Empty;
    }

    private IEnumerable<(Condition Condition, Node A, Node B)> Facts(Block block)
    {
        for (var at = block; at is not null; at = _parents.GetValueOrDefault(at))
        {
            if (FactOn(at) is { } fact)
            {
                yield return fact;
            }
        }
    }

    /// <summary>What holds in a block because of the one branch that leads there.</summary>
    private static (Condition Condition, Node A, Node B)? FactOn(Block block) =>
        block.Predecessors.Count == 1 && block.Predecessors[0].Terminator is { Op: Op.Branch } branch && branch.Targets[0] != branch.Targets[1]
            ? (branch.Targets[0] == block ? branch.Condition : branch.Condition.Negate(), branch.Operands[0], branch.Operands[1])
            : null;

    private Range Narrow(Node node, Range range, Condition condition, Node a, Node b, Block block, int depth)
    {
        if (IsSameNumber(b, node, condition))
        {
            (a, b, condition) = (b, a, condition.Swap());
        }
        else if (!IsSameNumber(a, node, condition))
        {
            return IsHighPart(node, a) && b.IsConstant && !condition.IsSigned() ? HighPart(range, condition, a.Type == IrType.I32 ? (uint)b.Immediate : b.Immediate, (int)node.Operands[1].Immediate) : range;
        }

        var other = b.IsConstant ? Computed(b, block, 0) : depth < DepthLimit ? Computed(b, block, depth + 4) : Range.Full(b.Type);
        if (!_comparesHalves && condition.IsSigned() && a.Type == IrType.I32 && (range.Low < 0 || other.Low < 0))
        {
            return range;
        }

        if (!condition.IsSigned() && condition is not (Condition.Equal or Condition.NotEqual))
        {
            // Below a number that is not negative: not negative either. Above one says nothing of the sign.
            if (other.Low < 0 || condition is Condition.GreaterUnsigned or Condition.GreaterOrEqualUnsigned && range.Low < 0)
            {
                return range;
            }

            range = range with { Low = Math.Max(range.Low, 0) };
        }

        return condition switch
        {
            Condition.Equal => new Range(Math.Max(range.Low, other.Low), Math.Min(range.High, other.High)),
            Condition.NotEqual when !_learnsFromUnequal => range,
            Condition.NotEqual when other.IsOne && range.Low == other.Low => range with { Low = range.Low + 1 },
            Condition.NotEqual when other.IsOne && range.High == other.High => range with { High = range.High - 1 },
            Condition.LessSigned or Condition.LessUnsigned when other.High > long.MinValue => range with { High = Math.Min(range.High, other.High - 1) },
            Condition.LessOrEqualSigned or Condition.LessOrEqualUnsigned => range with { High = Math.Min(range.High, other.High) },
            Condition.GreaterSigned or Condition.GreaterUnsigned when other.Low < long.MaxValue => range with { Low = Math.Max(range.Low, other.Low + 1) },
            Condition.GreaterOrEqualSigned or Condition.GreaterOrEqualUnsigned => range with { Low = Math.Max(range.Low, other.Low) },
            _ => range,
        };
    }

    /// <summary>The value is what a shift leaves of the compared one: <c>x >> 8 > 0</c> is tested as <c>x >= 256</c>. The verifier does not see that.</summary>
    private bool IsHighPart(Node node, Node compared) =>
        !_verified && node.Op == Op.ShiftRightUnsigned && node.Operands[0] == compared && node.Operands[1] is { IsConstant: true, Immediate: > 0 and < 64 };

    private static Range HighPart(Range range, Condition condition, long limit, int shift) => condition switch
    {
        Condition.GreaterOrEqualUnsigned or Condition.GreaterUnsigned when limit >= 0 => range with { Low = Math.Max(range.Low, limit >> shift) },
        Condition.LessUnsigned when limit > 0 => range with { High = Math.Min(range.High, (limit - 1) >> shift) },
        Condition.LessOrEqualUnsigned when limit >= 0 => range with { High = Math.Min(range.High, limit >> shift) },
        _ => range,
    };

    /// <summary>The compared value is this one, widened perhaps in the way that keeps the comparison's meaning.</summary>
    private bool IsSameNumber(Node compared, Node node, Condition condition) =>
        compared == node
        || (!_verified && compared.Op == Op.SignExtend && compared.Immediate == 32 && compared.Operands[0] == node && condition.IsSigned());
}

/// <summary>All numbers from <paramref name="Low"/> to <paramref name="High"/>, both included.</summary>
internal readonly record struct Range(long Low, long High)
{
    /// <summary>No number.</summary>
    public static Range Empty { get; } = new(0, -1);

    public bool IsOne => Low == High;

    public static Range Full(IrType type) => type == IrType.I32
        ? new Range(int.MinValue, int.MaxValue)
        : new Range(long.MinValue, long.MaxValue);
}
