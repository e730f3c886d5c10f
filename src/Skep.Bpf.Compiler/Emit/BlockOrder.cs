using Skep.Bpf.Asm;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Emit;

/// <summary>
/// Orders the blocks so that the likely way through the function falls from one into the next, and what is rare comes last. A jump that is not taken
/// costs the processor half of one that is, and the kernel writes the function's end once, at the first exit: the likely exit is to be that one.
/// </summary>
internal sealed class BlockOrder
{
    /// <summary>An exit block of at most this many instructions is copied instead of jumped to.</summary>
    private const int ShortExit = 3;

    private const double RoundsOfLoop = 8;

    /// <summary>A block that only the jump around it skips stands in line unless it is rarer than this: out of line it costs two jumps, in line its absence costs one.</summary>
    private const double WorthInLine = 0.25;

    private readonly MachineFunction _function;

    // By the number of the block.
    private readonly double[] _weights;

    private BlockOrder(MachineFunction function) => (_function, _weights) = (function, new double[function.Blocks.Count]);

    public static List<MachineBlock> Of(MachineFunction function)
    {
        var order = new BlockOrder(function);
        order.SkipEmptyBlocks();
        order.CopyShortExits();
        order.MergeEqualExits();
        order.Weigh();
        return order.Place();
    }

    /// <summary>Where a block goes, and how often of the times it runs.</summary>
    private static IEnumerable<(MachineBlock Target, double Chance)> Ways(MachineBlock block)
    {
        var rest = 1.0;
        foreach (var instruction in block.Code)
        {
            if (instruction.Target is { } target)
            {
                var chance = instruction.Kind == MachineKind.Jump ? 1 : instruction.Chance;
                yield return (target, rest * chance);
                rest *= 1 - chance;
            }
        }
    }

    /// <summary>Blocks that register allocation has emptied, on the edges of loops most of all, are jumped past.</summary>
    private void SkipEmptyBlocks()
    {
        foreach (var instruction in _function.Blocks.SelectMany(static b => b.Code))
        {
            for (var steps = 0; instruction.Target is { Code: [{ Kind: MachineKind.Jump, Target: { } next }] } && steps < _function.Blocks.Count; steps++)
            {
                instruction.Target = next;
            }
        }
    }

    /// <summary>Not behind a branch that can be turned round: the branch itself jumps to the exit then.</summary>
    private void CopyShortExits()
    {
        foreach (var block in _function.Blocks)
        {
            if (block.Code.Count > 0 && block.Code[^1] is { Kind: MachineKind.Jump, Target: { } target } && target != block
                && (block.Code.Count < 2 || Turnable(_function, block.Code[^2]) is null or { Chance: < 0.5 }) && target.Code.Count <= ShortExit && target.Code[^1].Kind == MachineKind.Exit)
            {
                block.Code.RemoveAt(block.Code.Count - 1);
                block.Code.AddRange(target.Code);
            }
        }
    }

    /// <summary>Exits with the same result are one block.</summary>
    private void MergeEqualExits()
    {
        var exits = new List<MachineBlock>();
        var merged = new Dictionary<MachineBlock, MachineBlock>();
        foreach (var block in _function.Blocks.Skip(1).Where(static b => b.Code.Count <= ShortExit && b.Code is [.., { Kind: MachineKind.Exit }]))
        {
            if (exits.Find(e => AreEqual(e.Code, block.Code)) is { } same)
            {
                merged.Add(block, same);
            }
            else
            {
                exits.Add(block);
            }
        }

        foreach (var instruction in _function.Blocks.SelectMany(static b => b.Code))
        {
            if (instruction.Target is { } target && merged.TryGetValue(target, out var same))
            {
                instruction.Target = same;
            }
        }
    }

    private static bool AreEqual(Row<MachineInstruction> a, Row<MachineInstruction> b)
    {
        var equal = a.Count == b.Count;
        for (var i = 0; i < a.Count && equal; i++)
        {
            var (x, y) = (a[i], b[i]);
            equal = x.Kind is MachineKind.Move or MachineKind.Exit && x.Kind == y.Kind && x.Code == y.Code && x.Dst == y.Dst && x.Src == y.Src
                && x.Immediate == y.Immediate && x.Offset == y.Offset;
        }

        return equal;
    }

    /// <summary>How often each block runs when the function is entered once, guessed from the chances of its branches.</summary>
    private void Weigh()
    {
        var (order, back) = ReversePostorder();
        _weights[0] = 1;
        foreach (var block in order)
        {
            var weight = _weights[block.Id] * (back.Exists(e => e.To == block) ? RoundsOfLoop : 1);
            _weights[block.Id] = weight;
            foreach (var (target, chance) in Ways(block))
            {
                if (!back.Exists(e => e.From == block && e.To == target))
                {
                    _weights[target.Id] += weight * chance;
                }
            }
        }
    }

    private (List<MachineBlock> Order, List<Edge> Back) ReversePostorder()
    {
        var order = new List<MachineBlock>();
        var back = new List<Edge>();
        var open = new HashSet<MachineBlock> { _function.Blocks[0] };
        var seen = new HashSet<MachineBlock> { _function.Blocks[0] };
        var stack = new Stack<(MachineBlock Block, IEnumerator<(MachineBlock Target, double Chance)> Ways)>();
        stack.Push((_function.Blocks[0], Ways(_function.Blocks[0]).GetEnumerator()));
        while (stack.TryPeek(out var top))
        {
            if (!top.Ways.MoveNext())
            {
                stack.Pop();
                open.Remove(top.Block);
                order.Add(top.Block);
                continue;
            }

            var target = top.Ways.Current.Target;
            if (seen.Add(target))
            {
                open.Add(target);
                stack.Push((target, Ways(target).GetEnumerator()));
            }
            else if (open.Contains(target))
            {
                back.Add(new Edge(top.Block, target));
            }
        }

        order.Reverse();
        return (order, back);
    }

    /// <summary>Follows the likely way until it ends or meets what is placed, then goes on with the likeliest block that something placed jumps to.</summary>
    private List<MachineBlock> Place()
    {
        var order = new List<MachineBlock>();
        var placed = new HashSet<MachineBlock>();
        var pending = new SortedSet<Candidate>();
        var found = 0;
        pending.Add(new Candidate(_function.Blocks[0], 0, 0));
        while (pending.Min is { } next)
        {
            pending.Remove(next);
            for (var block = next.Block; block is not null && placed.Add(block); block = Following(block, placed))
            {
                order.Add(block);
                foreach (var (target, _) in Ways(block))
                {
                    // The likeliest first, of equal ones what was found last.
                    pending.Add(new Candidate(target, _weights[target.Id], ++found));
                }
            }
        }

        return order;
    }

    private MachineBlock? Following(MachineBlock block, HashSet<MachineBlock> placed)
    {
        if (block.Code[^1] is not { Kind: MachineKind.Jump, Target: { } jump })
        {
            return null;
        }

        if (block.Code.Count > 1 && block.Code[^2] is { Kind: MachineKind.JumpIf, IsFixed: true, Target: { } stays } && !placed.Contains(stays))
        {
            return stays;
        }

        var branch = block.Code.Count > 1 ? Turnable(_function, block.Code[^2]) : null;
        if (branch is null || placed.Contains(branch.Target!))
        {
            return placed.Contains(jump) ? null : jump;
        }

        if (placed.Contains(jump))
        {
            return branch.Target;
        }

        var threshold = OnlyLeadsTo(branch.Target!, jump) ? WorthInLine : OnlyLeadsTo(jump, branch.Target!) ? 1 - WorthInLine : 0.5;
        return branch.Chance > threshold ? branch.Target : jump;
    }

    private static MachineInstruction? Turnable(MachineFunction function, MachineInstruction instruction) =>
        instruction is { Kind: MachineKind.JumpIf, IsFixed: false } && Inverse(function, instruction.Code) is not null ? instruction : null;

    private sealed record Edge(MachineBlock From, MachineBlock To);

    /// <summary>A block that something placed jumps to.</summary>
    private sealed class Candidate(MachineBlock block, double weight, int found) : IComparable<Candidate>
    {
        public MachineBlock Block => block;

        private double Weight => weight;

        private int Found => found;

        public int CompareTo(Candidate? other) => other!.Weight.CompareTo(weight) is var order and not 0 ? order : other.Found.CompareTo(found);
    }

    private static bool OnlyLeadsTo(MachineBlock block, MachineBlock target) => block.Code[^1].Target == target && block.Code.Count(static i => i.Target is not null) == 1;

    /// <summary>The jump that is taken when this one is not; null when there is none.</summary>
    internal static byte? Inverse(MachineFunction function, byte code)
    {
        byte? inverse = (byte)(code & 0xf0) switch
        {
            OpCodes.Jeq => OpCodes.Jne,
            OpCodes.Jne => OpCodes.Jeq,
            OpCodes.Jgt or OpCodes.Jge or OpCodes.Jsgt or OpCodes.Jsge when function.IsaLevel < 2 => null,
            OpCodes.Jgt => OpCodes.Jle,
            OpCodes.Jle => OpCodes.Jgt,
            OpCodes.Jge => OpCodes.Jlt,
            OpCodes.Jlt => OpCodes.Jge,
            OpCodes.Jsgt => OpCodes.Jsle,
            OpCodes.Jsle => OpCodes.Jsgt,
            OpCodes.Jsge => OpCodes.Jslt,
            OpCodes.Jslt => OpCodes.Jsge,
            _ => null,
        };
        return inverse is { } value ? (byte)((code & 0x0f) | value) : null;
    }
}
