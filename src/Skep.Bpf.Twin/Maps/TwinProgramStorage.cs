using Skep.Bpf.Maps;

namespace Skep.Bpf.Twin.Maps;

/// <summary>Program arrays: the slots are those of the object, whose programs the twin runs.</summary>
internal sealed unsafe class TwinProgramStorage(ProgramArray map, TwinEnvironment environment, Lock gate) : TwinMapStorage(map, environment, gate)
{
    private readonly ProgramArray _map = map;

    /// <inheritdoc/>
    public override uint Count => (uint)_map.Programs.Count(static p => p is not null);

    /// <summary>Programs call what is in a slot; they cannot look at it.</summary>
    public override byte* Find(byte* key) => null;

    /// <inheritdoc/>
    public override int Update(byte* key, byte* value, ulong mode) => -Errno.Invalid;

    /// <inheritdoc/>
    public override int Delete(byte* key) => -Errno.Invalid;

    /// <inheritdoc/>
    public override void Dispose()
    {
        lock (Gate)
        {
            IsDisposed = true;
        }
    }

    /// <summary>A number that tells programs apart, as the kernel's ids do.</summary>
    private protected override int ReadEntry(byte* key, byte* value)
    {
        var slot = *(uint*)key;
        if (slot >= _map.Programs.Count || _map.Programs[(int)slot] is not { } program)
        {
            return -Errno.NoEntry;
        }

        *(int*)value = System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(program);
        return 0;
    }

    private protected override int WriteEntry(byte* key, byte* value, ulong mode) => -Errno.BadDescriptor;

    private protected override int NextEntry(byte* key, byte* next) => -Errno.NotSupported;

    private protected override int ReadEntries(ref ulong cursor, byte* keys, byte* values, int capacity, out bool done)
    {
        done = true;
        return -Errno.NotSupported;
    }
}
