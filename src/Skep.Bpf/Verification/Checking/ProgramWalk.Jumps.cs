using Skep.Bpf.Asm;
using static Skep.Bpf.Asm.OpCodes;

namespace Skep.Bpf.Verification.Checking;

/// <content>Jumps: both ways are walked where both are possible, each with what the comparison tells.</content>
internal sealed partial class ProgramWalk
{
    private int Jump(Instruction i)
    {
        var operation = i.Code & 0xf0;
        switch (operation)
        {
            case Ja:
                return (i.Code & SourceRegister) != 0 ? -1 : _slot + 1 + (i.Class == ClassJmp ? i.Offset : i.Immediate);
            case Call:
                return CallAny(i);
            case Exit:
                return Leave();
            case Jcond:
                return NextRound(_slot + 1 + i.Offset);
        }

        var target = _slot + 1 + i.Offset;
        var fromRegister = (i.Code & SourceRegister) != 0;
        var (a, b) = (Used(i.Dst), fromRegister ? Used(i.Src) : Value.Const((ulong)i.Immediate));
        var taken = _state.Copy();
        var isTaken = Learn(taken, operation, true, i, a, b);
        var isPassed = Learn(_state, operation, false, i, a, b);
        if (isTaken && isPassed)
        {
            taken.Decided++;
            _state.Decided++;
            taken.IsDoubtful = _state.IsDoubtful |= a.Kind == ValueKind.Opaque || b.Kind == ValueKind.Opaque;
            Postpone(taken, target);
            return _slot + 1;
        }

        if (isTaken)
        {
            _state = taken;
            return target;
        }

        return isPassed ? _slot + 1 : -1;
    }

    /// <summary>
    /// A round of a loop that the kernel counts: it is not walked when an earlier one began with all that this one could have. What changes from round to round is no
    /// longer followed, so that there is such a one soon; the kernel does the same with numbers that nothing depends on.
    /// </summary>
    private int NextRound(int behind)
    {
        var ancestors = 0;
        for (var node = _node?.Parent; node is not null && ancestors++ < MostAncestors; node = node.Parent)
        {
            if (node.Slot == _slot && node.State.Frames.Count == _state.Frames.Count)
            {
                if (node.State.Covers(_state, loosely: false))
                {
                    return behind;
                }

                _state.ForgetChanges(node.State);
                break;
            }
        }

        Postpone(_state.Copy(), behind);
        return _slot + 1;
    }

    private void Postpone(CheckState state, int slot)
    {
        _node?.Fork();
        _pending.Push((state, slot, _node));
    }

    /// <summary>Puts what is known on one way into a state; false when nothing can go this way.</summary>
    private static bool Learn(CheckState state, int condition, bool taken, Instruction i, Value a, Value b)
    {
        var wide = i.Class == ClassJmp;
        if (a.Kind == ValueKind.Number && b.Kind == ValueKind.Number)
        {
            var (x, y) = (a.Number, b.Number);
            var isSame = (i.Code & SourceRegister) != 0 && i.Dst == i.Src;
            if (!NumberRefinement.Refine(condition, taken, wide, ref x, ref y))
            {
                return isSame && Holds(condition) == taken;
            }

            if (isSame)
            {
                return Holds(condition) is not { } holds || holds == taken;
            }

            return Narrow(state, i.Dst, a, x) && ((i.Code & SourceRegister) == 0 || Narrow(state, i.Src, b, y));
        }

        if (a.IsPointer && b is { Kind: ValueKind.Number, Number: { IsConst: true, Value: 0 } } && wide && condition is Jeq or Jne)
        {
            return LearnNull(state, a, isNull: condition == Jeq == taken);
        }

        if (wide && a.IsPacket && b.Kind == ValueKind.PacketEnd)
        {
            LearnPacket(state, taken ? condition : NumberRefinement.Inverse(condition), a);
        }
        else if (wide && b.IsPacket && a.Kind == ValueKind.PacketEnd)
        {
            LearnPacket(state, Mirror(taken ? condition : NumberRefinement.Inverse(condition)), b);
        }
        else if (wide && a.Kind == ValueKind.PacketMeta && b is { Kind: ValueKind.Packet, Offset: 0, Id: 0 })
        {
            LearnPacket(state, taken ? condition : NumberRefinement.Inverse(condition), a);
        }
        else if (wide && b.Kind == ValueKind.PacketMeta && a is { Kind: ValueKind.Packet, Offset: 0, Id: 0 })
        {
            LearnPacket(state, Mirror(taken ? condition : NumberRefinement.Inverse(condition)), b);
        }

        return true;
    }

    // A register compared with itself.
    private static bool? Holds(int condition) => condition switch
    {
        Jeq or Jge or Jle or Jsge or Jsle => true,
        Jset => null,
        _ => false,
    };

    private static int Mirror(int condition) => condition switch
    {
        Jgt => Jlt,
        Jge => Jle,
        Jlt => Jgt,
        Jle => Jge,
        _ => condition,
    };

    private static bool Narrow(CheckState state, int register, Value before, Number after)
    {
        if (before.Id == 0)
        {
            state.Top.Registers[register] = before with { Number = after };
            return true;
        }

        var possible = true;
        state.Replace(value =>
        {
            if (value.Kind != ValueKind.Number || value.Id != before.Id)
            {
                return value;
            }

            var shifted = NumberMath.Compute(Add, 0, true, after, Number.Const(value.Delta - before.Delta));
            var both = new Number(
                value.Number.Bits.Contradicts(shifted.Bits) ? value.Number.Bits : value.Number.Bits.Intersect(shifted.Bits),
                value.Number.Wide.Intersect(shifted.Wide),
                value.Number.Low.Intersect(shifted.Low)).Synced();
            possible &= !both.IsEmpty && !value.Number.Bits.Contradicts(shifted.Bits);
            return value with { Number = both };
        });
        return possible;
    }

    private static bool LearnNull(CheckState state, Value pointer, bool isNull)
    {
        if (!pointer.MayBeNull)
        {
            return !isNull;
        }

        state.Replace(value => value.Id != pointer.Id || value.Kind != pointer.Kind || !value.MayBeNull ? value
            : isNull ? Value.Const(0)
            : value with { MayBeNull = false });
        if (isNull && pointer.Reference != 0)
        {
            state.References.Remove(pointer.Reference);
        }

        return true;
    }

    /// <summary>What <c>pointer condition end</c> tells: the bytes up to the pointer exist, and one more where it lies before the end.</summary>
    private static void LearnPacket(CheckState state, int condition, Value pointer)
    {
        if (condition is not (Jlt or Jle) || pointer.Offset < 0 || pointer.Number.Wide.UMax + (ulong)pointer.Offset > MostPacket || pointer.Number.Wide.UMax > MostPacket)
        {
            return;
        }

        var range = pointer.Offset + (condition == Jlt ? 1 : 0);
        state.Replace(value => value.Kind == pointer.Kind && value.Id == pointer.Id && value.Range < range ? value with { Range = range } : value);
    }
}
