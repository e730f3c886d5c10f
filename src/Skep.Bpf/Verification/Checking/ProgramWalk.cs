using System.Globalization;
using Skep.Bpf.Asm;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using static Skep.Bpf.Asm.OpCodes;

namespace Skep.Bpf.Verification.Checking;

/// <summary>
/// Follows every path of a program with abstract values, as the kernel's verifier does. Where the kernel knows more than this walk could
/// (kernel types, callbacks, helpers without a prototype), values are opaque and nothing is said of them: what it reports, the kernel rejects.
/// </summary>
internal sealed partial class ProgramWalk
{
    private const int MostSteps = 1_000_000; // as many as the kernel (BPF_COMPLEXITY_LIMIT_INSNS)
    private const int StatesKept = 12; // of one instruction; beyond that numbers are not told apart
    private const int MostAncestors = 64; // jump targets on the way, for a loop to be seen
    private const int StackSize = 512;
    private const int MostFrames = 8;
    private const int EndOfProgram = -1, EndOfFunction = -2; // where outermost frames return to

    private readonly ProgramSpec _spec;
    private readonly IReadOnlyList<Instruction> _code;
    private readonly Dictionary<int, MapReference> _maps;
    private readonly Dictionary<int, FunctionEntry> _global;
    private readonly HashSet<int> _begun = [];
    private readonly bool[] _isTarget;
    private readonly Dictionary<(int Slot, bool IsDoubtful), List<PathNode>> _seen = [];
    private readonly Stack<(CheckState State, int Slot, PathNode? Node)> _pending = [];
    private readonly bool _loopsMayEnd;
    private CheckState _state = new();
    private PathNode? _node;
    private int _slot;
    private int _lastId;

    public ProgramWalk(ProgramSpec spec)
    {
        _spec = spec;
        _code = spec.Instructions;
        _maps = spec.MapReferences.ToDictionary(reference => reference.Slot);
        _global = spec.Functions.Where(f => f.IsGlobal && f.Slot != 0).ToDictionary(f => f.Slot);
        _isTarget = new bool[_code.Count + 1];
        for (var slot = 0; slot < _code.Count; slot++)
        {
            var i = _code[slot];
            if (InstructionEncoding.Target(i, slot) is { } target && (uint)target < (uint)_code.Count)
            {
                _isTarget[target] = true;
            }

            // Bounds that the kernel alone can see: rounds of may_goto, iterators, callbacks.
            var counts = i.Class == ClassJmp && (i.Code & 0xf0) == Jcond;
            _isTarget[slot] |= counts;
            _loopsMayEnd |= counts || (i.Code == CallInstruction && i.Src == PseudoKfunc) || (i.IsWideLoad && i.Src == PseudoFunction);
            slot += i.IsWideLoad ? 1 : 0;
        }
    }

    /// <summary>Instructions walked.</summary>
    public int Steps { get; private set; }

    /// <summary>Slot of the last instruction.</summary>
    public int Slot => _slot;

    /// <summary>What was known before the last instruction.</summary>
    public CheckState State => _state;

    /// <summary>Walks all paths; false when there were too many.</summary>
    /// <exception cref="Violation">A path breaks a rule.</exception>
    public bool Run()
    {
        _state.Frames.Add(new CheckFrame(EndOfProgram));
        _state.Top.Registers[Register.R1] = new Value(ValueKind.Context);
        _state.Top.Registers[Register.R10] = new Value(ValueKind.Stack);
        _pending.Push((_state, 0, null));
        while (_pending.TryPop(out var next))
        {
            (_state, _slot, _node) = next;
            try
            {
                if (!Path())
                {
                    return false;
                }
            }
            catch (Violation) when (_state.IsDoubtful)
            {
                // The path ends here, if there is one.
            }

            _node?.End();
        }

        return true;
    }

    /// <summary>Walks one path to its end; false when the budget is spent.</summary>
    private bool Path()
    {
        for (var slot = _slot; slot >= 0;)
        {
            _slot = slot;
            if (++Steps > MostSteps)
            {
                return false;
            }

            if (_isTarget[slot] && Visit(slot))
            {
                return true;
            }

            slot = Step(_code[slot]);
        }

        return true;
    }

    /// <summary>True when this path need not be followed any further.</summary>
    private bool Visit(int slot)
    {
        // Apart, so that ways which may not be gone do not take the room of those that are: they say nothing for these.
        var nodes = Seen(slot, _state.IsDoubtful);
        if (IsCovered(nodes) || (_state.IsDoubtful && IsCovered(Seen(slot, isDoubtful: false))))
        {
            return true;
        }

        var ancestors = 0;
        for (var node = _node; node is not null && !_loopsMayEnd && ancestors++ < MostAncestors; node = node.Parent)
        {
            if (node.Slot == slot && (node.State.Computed == _state.Computed || node.State.Decided == _state.Decided) && node.State.IsSame(_state))
            {
                throw new Violation(VerifierRule.Loop, "the loop comes back to where it was with nothing changed");
            }
        }

        var visit = new PathNode(_node, slot, _state.Copy());
        if (nodes.Count < 2 * StatesKept)
        {
            nodes.Add(visit);
        }

        _node = visit;
        return false;
    }

    private List<PathNode> Seen(int slot, bool isDoubtful)
    {
        if (!_seen.TryGetValue((slot, isDoubtful), out var nodes))
        {
            _seen.Add((slot, isDoubtful), nodes = []);
        }

        return nodes;
    }

    private bool IsCovered(List<PathNode> nodes)
    {
        var loosely = nodes.Count >= StatesKept;
        for (var n = nodes.Count - 1; n >= 0; n--)
        {
            if (nodes[n].IsDone && nodes[n].State.Covers(_state, loosely))
            {
                return true;
            }
        }

        return false;
    }

    private int Step(Instruction i)
    {
        // The kernel does not look at the offset of an exit.
        if (InstructionEncoding.Problem(i.Code == ExitInstruction ? i with { Offset = 0 } : i) is { } reason)
        {
            throw new Violation(VerifierRule.Encoding, reason);
        }

        switch (i.Class)
        {
            case ClassAlu or ClassAlu64:
                Compute(i);
                return _slot + 1;
            case ClassLdx:
                var address = Used(i.Src);
                Set(i.Dst, Extended(Access(address, i.Src, i.Offset, SizeOf(i), null), i));
                return _slot + 1;
            case ClassSt:
                Access(Used(i.Dst), i.Dst, i.Offset, SizeOf(i), Value.Const((ulong)i.Immediate));
                return _slot + 1;
            case ClassStx when (i.Code & 0xe0) == ModeAtomic:
                Atomic(i);
                return _slot + 1;
            case ClassStx:
                Access(Used(i.Dst), i.Dst, i.Offset, SizeOf(i), Named(i.Src));
                return _slot + 1;
            case ClassLd when i.IsWideLoad:
                Set(i.Dst, Wide(i));
                return _slot + 2;
            case ClassLd:
                return PacketLoad(i);
            default:
                return Jump(i);
        }
    }

    private Value Wide(Instruction i)
    {
        if (_maps.TryGetValue(_slot, out var reference))
        {
            return reference.ValueOffset is { } offset
                ? reference.Map.Kind != MapKind.Array ? Value.Opaque : new Value(ValueKind.MapValue) { Map = reference.Map, Offset = offset }
                : new Value(ValueKind.Map) { Map = reference.Map };
        }

        return i.Src == 0 ? Value.Const((uint)i.Immediate | ((ulong)(uint)_code[_slot + 1].Immediate << 32)) : Value.Opaque;
    }

    private int PacketLoad(Instruction i)
    {
        if (_spec.Type is ProgramType.Xdp)
        {
            throw new Violation(VerifierRule.Classic, "this type of program has no packet loads");
        }

        ForgetArguments();
        Set(Register.R0, Value.Of(Number.OfSize(SizeOf(i))));
        return _slot + 1;
    }

    /// <summary>The value of a register that is read.</summary>
    private Value Used(int register)
    {
        var value = _state.Top.Registers[register];
        return value.Kind != ValueKind.Unset ? value : throw new Violation(VerifierRule.Unset, Invariant($"R{register} was not set on this path"), value, register);
    }

    /// <summary>The value of a register that is copied: copies of a number know of each other, so that a comparison of one tells of the other.</summary>
    private Value Named(int register)
    {
        var value = Used(register);
        if (value is { Kind: ValueKind.Number, Id: 0, Number.IsConst: false })
        {
            value = value with { Id = NewId() };
            _state.Top.Registers[register] = value;
        }

        return value;
    }

    private void Set(int register, Value value)
    {
        if (register == Register.R10)
        {
            throw new Violation(VerifierRule.Encoding, "the frame pointer cannot be changed");
        }

        _state.Top.Registers[register] = value;
    }

    private void ForgetArguments() => Array.Fill(_state.Top.Registers, Value.Unset, Register.R1, 5);

    private int NewId() => ++_lastId;

    private static int SizeOf(Instruction i) => (i.Code & 0x18) switch
    {
        SizeB => 1,
        SizeH => 2,
        SizeW => 4,
        _ => 8,
    };

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
