namespace Skep.Bpf.Compiler.Frontend;

/// <summary>
/// Which variables of one inlined body are followed as numbers at translation, because they index frozen arrays.
/// It is found while translating: the body is then translated anew with the larger plan.
/// </summary>
internal sealed class TrackingPlan(int depth)
{
    private readonly Dictionary<int, bool> _tracked = [];
    private readonly HashSet<int> _refused = [];

    /// <summary>Whether the body is still being translated, so that it can begin anew.</summary>
    public bool IsActive { get; set; } = true;

    /// <summary>How many calls deep the body is inlined.</summary>
    public int Depth { get; } = depth;

    public bool IsForObjects(int slot) => _tracked.GetValueOrDefault(slot);

    public bool IsTracked(int slot) => _tracked.ContainsKey(slot);

    /// <summary>Whether the one return of the body has several versions, whose values meet in memory.</summary>
    public bool ReturnsThroughMemory { get; private set; }

    /// <summary>Sets <see cref="ReturnsThroughMemory"/>; false when it was set.</summary>
    public bool ReturnThroughMemory()
    {
        var changed = !ReturnsThroughMemory;
        ReturnsThroughMemory = true;
        return changed;
    }

    /// <summary>Adds a variable; false when it is there already or was given up.</summary>
    public bool Track(int slot, bool forObjects)
    {
        if (_refused.Contains(slot) && !forObjects)
        {
            return false;
        }

        if (_tracked.TryGetValue(slot, out var already))
        {
            _tracked[slot] = already || forObjects;
            return false;
        }

        _tracked[slot] = forObjects;
        return true;
    }

    /// <summary>Stops following what only indexes values, for which there are tables; false when there is nothing of that kind.</summary>
    public bool GiveUpValues()
    {
        var given = false;
        foreach (var (slot, forObjects) in _tracked.ToArray())
        {
            if (!forObjects)
            {
                _tracked.Remove(slot);
                _refused.Add(slot);
                given = true;
            }
        }

        return given;
    }
}

/// <summary>Ends the translation of a body, which its caller begins anew with a changed plan. Never leaves the compiler.</summary>
internal sealed class TranslationRestart(TrackingPlan plan) : Exception
{
    public TrackingPlan Plan { get; } = plan;
}
