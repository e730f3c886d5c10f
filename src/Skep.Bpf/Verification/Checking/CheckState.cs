namespace Skep.Bpf.Verification.Checking;

/// <summary>A function that runs: registers, stack, and where it goes on in its caller.</summary>
internal sealed class CheckFrame(int returnTo)
{
    public const int Places = 64;

    public int ReturnTo { get; } = returnTo;

    public Value[] Registers { get; } = [.. Enumerable.Repeat(Value.Unset, 11)];

    public StackPlace[] Stack { get; } = new StackPlace[Places];

    public CheckFrame Copy()
    {
        var copy = new CheckFrame(ReturnTo);
        Registers.CopyTo(copy.Registers, 0);
        Stack.CopyTo(copy.Stack, 0);
        return copy;
    }
}

/// <summary>All that is known at a point of a path.</summary>
internal sealed class CheckState
{
    public List<CheckFrame> Frames { get; private init; } = [];

    /// <summary>What was acquired and not yet released.</summary>
    public List<int> References { get; private init; } = [];

    /// <summary>Numbers computed on the way here that are not known exactly: the kernel may know more of them than we do.</summary>
    public int Computed { get; set; }

    /// <summary>Jumps on the way here that could have gone the other way.</summary>
    public int Decided { get; set; }

    /// <summary>
    /// Whether a jump on the way here compared something that is not followed. The kernel may know that this way is never gone, so nothing is said of it.
    /// </summary>
    public bool IsDoubtful { get; set; }

    public CheckFrame Top => Frames[^1];

    public CheckState Copy() => new() { Frames = [.. Frames.Select(f => f.Copy())], References = [.. References], Computed = Computed, Decided = Decided, IsDoubtful = IsDoubtful };

    /// <summary>Replaces values wherever they are.</summary>
    public void Replace(Func<Value, Value> change)
    {
        foreach (var frame in Frames)
        {
            for (var r = 0; r < frame.Registers.Length; r++)
            {
                frame.Registers[r] = change(frame.Registers[r]);
            }

            for (var p = 0; p < CheckFrame.Places; p++)
            {
                ref var place = ref frame.Stack[p];
                if (place.Whole is { } whole)
                {
                    place = place with { Whole = change(whole) };
                }
            }
        }
    }

    /// <summary>What stands on all stacks is no longer known.</summary>
    public void ForgetStacks()
    {
        foreach (var frame in Frames)
        {
            Array.Fill(frame.Stack, new StackPlace(Value.Opaque, null, null));
        }
    }

    /// <summary>Numbers that are not among those of an earlier state are no longer followed.</summary>
    public void ForgetChanges(CheckState earlier)
    {
        for (var f = 0; f < Frames.Count; f++)
        {
            var (old, mine) = (earlier.Frames[f], Frames[f]);
            for (var r = 0; r < mine.Registers.Length; r++)
            {
                mine.Registers[r] = Changed(old.Registers[r], mine.Registers[r])!;
            }

            for (var p = 0; p < CheckFrame.Places; p++)
            {
                var (was, place) = (old.Stack[p], mine.Stack[p]);
                mine.Stack[p] = new StackPlace(Changed(was.Whole, place.Whole), Changed(was.Low, place.Low), Changed(was.High, place.High));
            }
        }

        static Value? Changed(Value? was, Value? value) => value is { Kind: ValueKind.Number } && !Covers(was, value, false) ? Value.Opaque : value;
    }

    /// <summary>Whether whatever is true of <paramref name="later"/> was allowed for here, so that its path shows nothing new.</summary>
    /// <param name="later">A state at the same instruction.</param>
    /// <param name="loosely">Numbers are not compared: fewer paths are walked, and fewer mistakes found.</param>
    public bool Covers(CheckState later, bool loosely)
    {
        if ((IsDoubtful && !later.IsDoubtful) || Frames.Count != later.Frames.Count || References.Count != later.References.Count)
        {
            return false;
        }

        for (var f = 0; f < Frames.Count; f++)
        {
            var (mine, its) = (Frames[f], later.Frames[f]);
            if (mine.ReturnTo != its.ReturnTo)
            {
                return false;
            }

            for (var r = 0; r < mine.Registers.Length; r++)
            {
                if (!Covers(mine.Registers[r], its.Registers[r], loosely))
                {
                    return false;
                }
            }

            for (var p = 0; p < CheckFrame.Places; p++)
            {
                var (a, b) = (mine.Stack[p], its.Stack[p]);
                if (!Covers(a.Whole, b.Whole, loosely) || !Covers(a.Low, b.Low, loosely) || !Covers(a.High, b.High, loosely))
                {
                    return false;
                }
            }
        }

        return true;
    }

    /// <summary>Whether both are the same and wholly known, so that a loop from one to the other changes nothing.</summary>
    public bool IsSame(CheckState other)
    {
        if (!Covers(other, false) || !other.Covers(this, false))
        {
            return false;
        }

        for (var f = 0; f < Frames.Count; f++)
        {
            var (mine, its) = (Frames[f], other.Frames[f]);
            if (Array.Exists(mine.Registers, v => v.Kind == ValueKind.Opaque))
            {
                return false;
            }

            for (var p = 0; p < CheckFrame.Places; p++)
            {
                var (a, b) = (mine.Stack[p], its.Stack[p]);
                if (!IsKnown(a.Whole, b.Whole) || !IsKnown(a.Low, b.Low) || !IsKnown(a.High, b.High))
                {
                    return false;
                }
            }
        }

        return true;

        static bool IsKnown(Value? a, Value? b) => a is null ? b is null : b is not null && a.Kind != ValueKind.Opaque;
    }

    private static bool Covers(Value? old, Value? later, bool loosely)
    {
        if (ReferenceEquals(old, later) || old is null or { Kind: ValueKind.Unset or ValueKind.Opaque } || later is null or { Kind: ValueKind.Opaque })
        {
            return true;
        }

        return old.Kind == later.Kind
            && old.Map == later.Map
            && old.Frame == later.Frame
            && old.Size == later.Size
            && (old.MayBeNull || !later.MayBeNull)
            && (loosely || (old.Offset == later.Offset && old.Number.Contains(later.Number)))
            && (!old.IsPacket || old.Range <= later.Range);
    }
}
