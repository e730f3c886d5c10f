using System.Reflection.Metadata;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>
/// Versions of IL blocks: a block is translated once for each state of what is known at translation (objects, cursors over frozen arrays,
/// and the numbers that index them). A loop over objects thereby becomes straight code, a walk through a tree of objects the tree itself,
/// and two branches that choose different objects go their own ways. Numbers that index nothing stay in loops.
/// </summary>
internal sealed partial class MethodTranslator
{
    /// <summary>Versions of a block after which an unrolled loop counts as endless.</summary>
    private const int MostVersions = 4096;

    /// <summary>The same where the elements are values: then a table in memory is the better code.</summary>
    private const int MostVersionsForValues = 64;

    private readonly PriorityQueue<BlockVersion, int> _work = new();

    /// <summary>Which slots some path may still read at the start of each block: what nobody reads makes no version of its own.</summary>
    private void FindLiveSlots(List<IlBlock> order)
    {
        var count = _locals.Length + _arguments.Length;
        foreach (var block in order)
        {
            block.Live = new bool[count];
        }

        for (var changed = true; changed;)
        {
            changed = false;
            for (var i = order.Count - 1; i >= 0; i--)
            {
                var block = order[i];
                var live = new bool[count];
                foreach (var successor in SuccessorsOf(block))
                {
                    for (var s = 0; s < count && _blocks.TryGetValue(successor, out var next) && next.Live.Length > 0; s++)
                    {
                        live[s] |= next.Live[s];
                    }
                }

                for (var k = block.First + block.Count - 1; k >= block.First; k--)
                {
                    if (SlotIndexOf(_il[k], out var isStore) is >= 0 and var slot && slot < count)
                    {
                        live[slot] = !isStore;
                    }
                }

                changed |= !live.AsSpan().SequenceEqual(block.Live);
                block.Live = live;
            }
        }
    }

    /// <summary>
    /// Blocks that nothing leads to which stands behind them in the order: when one is begun, all ways there are known. None of a loop is.
    /// </summary>
    private void FindSettledBlocks(List<IlBlock> order)
    {
        // Place of the last block from which each can be reached.
        var latest = new int[order.Count];
        Array.Fill(latest, -1);
        for (var changed = true; changed;)
        {
            changed = false;
            foreach (var block in order)
            {
                var reach = Math.Max(latest[block.Order], block.Order);
                foreach (var successor in SuccessorsOf(block))
                {
                    if (_blocks.TryGetValue(successor, out var next) && latest[next.Order] < reach)
                    {
                        latest[next.Order] = reach;
                        changed = true;
                    }
                }
            }
        }

        foreach (var block in order)
        {
            block.IsSettled = latest[block.Order] < block.Order;
        }
    }

    /// <summary>The slot an instruction names, locals first, or -1.</summary>
    private int SlotIndexOf(IlInstruction il, out bool isStore)
    {
        var code = il.Number;
        isStore = code is (>= ILOpCode.Stloc_0 and <= ILOpCode.Stloc_3) or ILOpCode.Stloc_s or ILOpCode.Stloc or ILOpCode.Starg_s or ILOpCode.Starg;
        return code switch
        {
            >= ILOpCode.Ldloc_0 and <= ILOpCode.Ldloc_3 => code - ILOpCode.Ldloc_0,
            >= ILOpCode.Stloc_0 and <= ILOpCode.Stloc_3 => code - ILOpCode.Stloc_0,
            ILOpCode.Ldloc_s or ILOpCode.Ldloc or ILOpCode.Ldloca_s or ILOpCode.Ldloca or ILOpCode.Stloc_s or ILOpCode.Stloc => (int)il.Operand,
            >= ILOpCode.Ldarg_0 and <= ILOpCode.Ldarg_3 => _locals.Length + (code - ILOpCode.Ldarg_0),
            ILOpCode.Ldarg_s or ILOpCode.Ldarg or ILOpCode.Ldarga_s or ILOpCode.Ldarga or ILOpCode.Starg_s or ILOpCode.Starg => _locals.Length + (int)il.Operand,
            _ => -1,
        };
    }

    /// <summary>Finds or makes the version of the target that fits what is known on this edge, and returns its IR block.</summary>
    private Block Enter(IlBlock target)
    {
        if (!_builder.IsReachable)
        {
            return target.Versions.Count > 0 ? target.Versions[0].Ir : _builder.Function.NewBlock();
        }

        if (target.Versions.Count > 0 && target.Versions[0].Stack.Count != _stack.Count)
        {
            throw new CompileException(Rule.Internal, $"the IL of '{_method.Name}' reaches a place with different stacks", _builder.Position);
        }

        var known = KnownHash(target);
        if (!target.ByKnown.TryGetValue(known, out var alike))
        {
            target.ByKnown[known] = alike = [];
        }

        var version = alike.Find(Fits);
        if (version is null)
        {
            Limit(target);
            version = new BlockVersion(target, _builder.Function.NewBlock());
            for (var i = 0; i < version.Known.Length; i++)
            {
                version.Known[i] = target.Live[i] ? SlotAt(i).Known : null;
            }

            for (var i = 0; i < _stack.Count; i++)
            {
                version.Stack.Add(new StackSlot(_stack[i], StackIndex(target, i), _plan));
            }

            version.Pending = _pending;
            target.Versions.Add(version);
            alike.Add(version);
            _work.Enqueue(version, target.Order);
        }

        if (target.IsSettled)
        {
            _builder.Continue(version.Ir);
        }

        for (var i = 0; i < _stack.Count; i++)
        {
            StoreStack(version.Stack[i], _stack[i]);
        }

        return version.Ir;

        bool Fits(BlockVersion candidate)
        {
            for (var i = 0; i < candidate.Known.Length; i++)
            {
                if (target.Live[i] && !Same(candidate.Known[i], SlotAt(i).Known))
                {
                    return false;
                }
            }

            if (!candidate.Pending.SequenceEqual(_pending))
            {
                return false;
            }

            for (var i = 0; i < _stack.Count; i++)
            {
                if (!candidate.Stack[i].Takes(_stack[i]))
                {
                    return false;
                }
            }

            return true;
        }
    }

    /// <summary>The same for all that would fit the same version, and for few others: a loop over many objects has as many versions.</summary>
    private int KnownHash(IlBlock target)
    {
        var hash = default(HashCode);
        for (var i = 0; i < target.Live.Length; i++)
        {
            if (target.Live[i] && SlotAt(i).Known is { } known)
            {
                hash.Add(i);
                hash.Add(known.Node.IsConstant ? known.Node.Immediate.GetHashCode() : known.Node.IsFrozen ? Frozen.HashOf(known.Node.Payload) : (int)known.Node.Op);
            }
        }

        return hash.ToHashCode();
    }

    /// <summary>Number of an evaluation stack entry among the variables, after the locals and arguments.</summary>
    private int StackIndex(IlBlock target, int depth) => _locals.Length + _arguments.Length + (_il[target.First].Offset * 256) + depth;

    private Slot SlotAt(int index) => index < _locals.Length ? _locals[index] : _arguments[index - _locals.Length];

    private void Limit(IlBlock target)
    {
        if (target.Versions.Count >= MostVersionsForValues && _plan.GiveUpValues())
        {
            throw new TranslationRestart(_plan);
        }

        if (target.Versions.Count >= MostVersions)
        {
            throw new CompileException(
                Rule.TooLarge,
                $"a loop over objects in '{_method.DeclaringType?.Name}.{_method.Name}' has more than {MostVersions} turns, or no end that is known at compile time; loop over fewer objects, or keep the values in an array or a map",
                _builder.Position);
        }
    }

    /// <summary>
    /// Begins anew with the variables followed that <paramref name="value"/> is computed from; returns when some of it is not known before run time.
    /// </summary>
    private void TrackSources(Node value, bool forObjects)
    {
        var sources = new HashSet<(TrackingPlan Plan, int Slot)>();
        if (!FindSources(value, sources, 0))
        {
            return;
        }

        TrackingPlan? outermost = null;
        foreach (var (plan, slot) in sources)
        {
            if (plan.Track(slot, forObjects) && (outermost is null || plan.Depth < outermost.Depth))
            {
                outermost = plan;
            }
        }

        if (outermost is not null)
        {
            throw new TranslationRestart(outermost);
        }
    }

    /// <summary>What a followed variable is compared with is followed, too: the end of a loop inside another.</summary>
    private void TrackBound(Node a, Node b)
    {
        if (Frozen.IsFollowed(a) != Frozen.IsFollowed(b))
        {
            TrackSources(Frozen.IsFollowed(a) ? b : a, true);
        }
    }

    private bool FindSources(Node node, HashSet<(TrackingPlan Plan, int Slot)> sources, int depth)
    {
        switch (node.Op)
        {
            case Op.Constant:
                return true;
            case Op.Load when node.Immediate == 0 && _translator.Owners.TryGetValue(node.Operands[0], out var owner) && owner.Slot >= 0 && owner.Plan.IsActive:
                sources.Add(owner);
                return true;
            case >= Op.Add and <= Op.Compare when depth < 16:
                return node.Operands.TrueForAll(o => FindSources(o, sources, depth + 1));
            default:
                return false;
        }
    }

    private void StoreStack(StackSlot slot, Entry entry)
    {
        if (slot.Frozen is not null)
        {
            return;
        }

        if (slot.Memory is null)
        {
            slot.Memory = _builder.Function.NewAlloca(slot.Struct is { } type ? TypeLayout.SizeOf(type) : 8, "stack");
            _translator.Owners[slot.Memory] = (_plan, slot.Struct is null ? slot.Index : -1);
        }

        if (slot.Struct is not null)
        {
            StoreStruct(slot.Memory, entry, slot.Struct);
            return;
        }

        var value = Materialize(entry.Node);
        value = slot.Type == IrType.I32 ? _builder.Truncate(value) : value.Type == IrType.I32 ? _builder.SignExtend(value, 32, IrType.I64) : value;
        _builder.Store(slot.Memory, 0, slot.Type == IrType.I32 ? 4 : 8, value);
    }

    private void Restore(BlockVersion version)
    {
        for (var i = 0; i < version.Known.Length; i++)
        {
            SlotAt(i).Known = version.Known[i];
        }

        _pending = version.Pending;
        _stack.Clear();
        foreach (var slot in version.Stack)
        {
            _stack.Add(slot.Frozen ?? (slot.Struct is not null
                ? new Entry(slot.Memory!, slot.Struct)
                : new Entry(_builder.Load(slot.Memory!, 0, slot.Type == IrType.I32 ? 4 : 8, slot.Type))));
        }
    }

    private static bool Same(Entry? a, Entry? b) =>
        a is null || b is null
            ? a is null && b is null
            : a.Value.Node == b.Value.Node
                || (a.Value.Node.Op == b.Value.Node.Op && a.Value.Node.IsFrozen && Frozen.IsSame(a.Value.Node.Payload, b.Value.Node.Payload))
                || (a.Value.Node.IsConstant && b.Value.Node.IsConstantValue(a.Value.Node.Immediate) && a.Value.Node.Type == b.Value.Node.Type);

    private sealed class IlBlock(int first)
    {
        public int First { get; } = first;

        public int Count { get; set; }

        /// <summary>Place in reverse postorder: what comes first is translated first.</summary>
        public int Order { get; set; }

        public bool[] Live { get; set; } = [];

        /// <summary>Whether everything that leads here is translated before it.</summary>
        public bool IsSettled { get; set; }

        public List<BlockVersion> Versions { get; } = [];

        /// <summary>The versions by <see cref="KnownHash"/>.</summary>
        public Dictionary<int, List<BlockVersion>> ByKnown { get; } = [];
    }

    /// <summary>One translation of an IL block.</summary>
    private sealed class BlockVersion(IlBlock block, Block ir)
    {
        public IlBlock Block { get; } = block;

        public Block Ir { get; } = ir;

        public Entry?[] Known { get; } = new Entry?[block.Live.Length];

        public List<StackSlot> Stack { get; } = [];

        /// <summary>Where finally blocks go on.</summary>
        public List<int> Pending { get; set; } = [];
    }

    /// <summary>An evaluation stack entry that crosses a block boundary: through memory, or as a frozen value.</summary>
    private sealed class StackSlot(Entry entry, int index, TrackingPlan plan)
    {
        private readonly bool _isTracked = plan.IsTracked(index);

        public int Index { get; } = index;

        public Entry? Frozen { get; } = Frontend.Frozen.IsKnown(entry.Node) || (entry.Node.IsConstant && plan.IsTracked(index)) ? entry : null;

        public Type? Struct { get; } = entry.Struct;

        public IrType Type { get; } = entry.Node.Type;

        public Node? Memory { get; set; }

        public bool Takes(Entry other) => Frozen is { } frozen
            ? Same(frozen, other)
            : (!Frontend.Frozen.IsKnown(other.Node) && !(_isTracked && other.Node.IsConstant)) || other.Node.Op == Op.FrozenStruct;
    }
}
