namespace Skep.Bpf.Verification.Checking;

/// <summary>A state that was reached at a jump target, and how many paths from it are still to be walked.</summary>
internal sealed class PathNode(PathNode? parent, int slot, CheckState state)
{
    private int _open = 1;

    public PathNode? Parent { get; } = parent;

    public int Slot { get; } = slot;

    public CheckState State { get; } = state;

    /// <summary>All paths from here have been walked.</summary>
    public bool IsDone => _open == 0;

    public void Fork() => _open++;

    /// <summary>A path from here ended.</summary>
    public void End()
    {
        for (var node = this; node is not null && --node._open == 0; node = node.Parent)
        {
        }
    }
}
