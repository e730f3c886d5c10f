using Skep.Bpf.Maps;

namespace Skep.Bpf.Twin.Maps;

/// <summary>Values of kernel objects under the twin, where an object is the address a test gives it. Descriptors name nothing here.</summary>
internal sealed unsafe class TwinLocalStorage(BpfMap map, TwinEnvironment environment, Lock gate) : TwinMapStorage(map, environment, gate)
{
    private readonly Dictionary<nint, PinnedMemory> _values = [];

    /// <inheritdoc/>
    public override uint Count => (uint)_values.Count;

    /// <inheritdoc/>
    public override byte* FindLocal(void* owner, byte* initial, bool create)
    {
        RequireLive();
        if (!_values.TryGetValue((nint)owner, out var value))
        {
            if (!create)
            {
                return null;
            }

            _values[(nint)owner] = value = new PinnedMemory((ulong)ValueSize);
            if (initial != null)
            {
                CopyValue(initial, value.Address);
            }
        }

        return value.Address;
    }

    /// <inheritdoc/>
    public override int RemoveLocal(void* owner)
    {
        RequireLive();
        return _values.Remove((nint)owner) ? 0 : -Errno.NoEntry;
    }

    /// <inheritdoc/>
    public override byte* Find(byte* key) => null;

    /// <inheritdoc/>
    public override int Update(byte* key, byte* value, ulong mode) => -NoSuchOperation;

    /// <inheritdoc/>
    public override int Delete(byte* key) => -Errno.BadDescriptor;

    /// <inheritdoc/>
    public override void Dispose()
    {
        lock (Gate)
        {
            IsDisposed = true;
            _values.Clear();
        }
    }

    private protected override int ReadEntry(byte* key, byte* value) => -Errno.BadDescriptor;

    private protected override int WriteEntry(byte* key, byte* value, ulong mode) => -Errno.BadDescriptor;

    private protected override int NextEntry(byte* key, byte* next) => -NoSuchOperation;

    private protected override int ReadEntries(ref ulong cursor, byte* keys, byte* values, int capacity, out bool done)
    {
        done = true;
        return -NoSuchOperation;
    }
}
