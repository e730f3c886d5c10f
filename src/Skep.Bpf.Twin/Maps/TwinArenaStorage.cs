using Skep.Bpf.Maps;

namespace Skep.Bpf.Twin.Maps;

/// <summary>An arena: memory, all pages there from the start.</summary>
internal sealed unsafe class TwinArenaStorage : TwinMapStorage
{
    private readonly PinnedMemory _memory;

    public TwinArenaStorage(BpfMap map, TwinEnvironment environment, Lock gate)
        : base(map, environment, gate) => _memory = new PinnedMemory((ulong)MaxEntries * (uint)System.Environment.SystemPageSize);

    /// <inheritdoc/>
    public override uint Count => MaxEntries;

    /// <inheritdoc/>
    public override byte* Memory
    {
        get
        {
            RequireLive();
            return _memory.Address;
        }
    }

    /// <inheritdoc/>
    public override byte* Find(byte* key) => null;

    /// <inheritdoc/>
    public override int Update(byte* key, byte* value, ulong mode) => -Errno.NotSupported;

    /// <inheritdoc/>
    public override int Delete(byte* key) => -Errno.NotSupported;

    /// <inheritdoc/>
    public override void Dispose() => IsDisposed = true;

    private protected override int ReadEntry(byte* key, byte* value) => -Errno.Invalid;

    private protected override int WriteEntry(byte* key, byte* value, ulong mode) => -Errno.NotSupported;

    private protected override int NextEntry(byte* key, byte* next) => -Errno.NotSupported;

    private protected override int ReadEntries(ref ulong cursor, byte* keys, byte* values, int capacity, out bool done)
    {
        done = true;
        return -NoSuchOperation;
    }
}
