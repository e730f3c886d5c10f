using Skep.Bpf.Maps;

namespace Skep.Bpf.Twin.Maps;

/// <summary>
/// An arena: memory, all pages there from the start. Those that programs ask for are taken from the end, where the process does not begin: in the kernel no
/// page is given out that the process has touched.
/// </summary>
internal sealed unsafe class TwinArenaStorage : TwinMapStorage
{
    private static readonly uint s_pageSize = (uint)System.Environment.SystemPageSize;

    private readonly PinnedMemory _memory;
    private readonly bool[] _given;

    public TwinArenaStorage(BpfMap map, TwinEnvironment environment, Lock gate)
        : base(map, environment, gate)
    {
        // The address of a page tells where it is in the kernel, too.
        _memory = new PinnedMemory(((ulong)MaxEntries + 1) * s_pageSize);
        _given = new bool[MaxEntries];
    }

    /// <inheritdoc/>
    public override uint Count => MaxEntries;

    /// <inheritdoc/>
    public override byte* Memory
    {
        get
        {
            RequireLive();
            return _memory.Address + ((s_pageSize - ((nuint)_memory.Address % s_pageSize)) % s_pageSize);
        }
    }

    /// <inheritdoc/>
    public override byte* AllocatePages(uint pages)
    {
        RequireLive();
        var run = 0u;
        for (var page = MaxEntries; page-- > 0 && pages > 0;)
        {
            run = _given[page] ? 0 : run + 1;
            if (run == pages)
            {
                _given.AsSpan((int)page, (int)pages).Fill(true);
                var memory = Memory + ((ulong)page * s_pageSize);
                new Span<byte>(memory, checked((int)(pages * s_pageSize))).Clear();
                return memory;
            }
        }

        return null;
    }

    /// <inheritdoc/>
    public override void FreePages(byte* memory, uint pages)
    {
        RequireLive();
        var first = (ulong)(memory - Memory) / s_pageSize;
        for (var page = first; page < first + pages && page < MaxEntries; page++)
        {
            _given[page] = false;
            new Span<byte>(Memory + (page * s_pageSize), (int)s_pageSize).Clear();
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
