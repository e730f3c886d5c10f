using Skep.Bpf.Maps;

namespace Skep.Bpf.Twin.Maps;

/// <summary>Queues and stacks (<c>kernel/bpf/queue_stack_maps.c</c>): a ring of values, read at its tail or its head.</summary>
internal sealed unsafe class TwinQueueStorage : TwinMapStorage
{
    private readonly PinnedMemory _memory;
    private readonly bool _isStack;
    private byte* _values;
    private uint _oldest;
    private uint _count;

    public TwinQueueStorage(BpfMap map, TwinEnvironment environment, Lock gate)
        : base(map, environment, gate)
    {
        _isStack = map.Kind == MapKind.Stack;
        _memory = new PinnedMemory((ulong)MaxEntries * (uint)ValueSize);
        _values = _memory.Address;
    }

    /// <inheritdoc/>
    public override uint Count => _count;

    /// <inheritdoc/>
    public override int Push(byte* value, ulong flags)
    {
        RequireLive();
        if (flags is not ((ulong)UpdateMode.Any or (ulong)UpdateMode.Exist))
        {
            return -Errno.Invalid;
        }

        if (_count == MaxEntries)
        {
            if (flags != (ulong)UpdateMode.Exist)
            {
                return -Errno.TooBig;
            }

            _oldest = (_oldest + 1) % MaxEntries;
            _count--;
        }

        Copy(value, At(_count++), ValueSize);
        return 0;
    }

    /// <inheritdoc/>
    public override int Pop(byte* value)
    {
        var status = Peek(value);
        if (status == 0)
        {
            _count--;
            _oldest = _isStack ? _oldest : (_oldest + 1) % MaxEntries;
        }

        return status;
    }

    /// <inheritdoc/>
    public override int Peek(byte* value)
    {
        RequireLive();
        if (_count == 0)
        {
            new Span<byte>(value, ValueSize).Clear();
            return -Errno.NoEntry;
        }

        Copy(At(_isStack ? _count - 1 : 0), value, ValueSize);
        return 0;
    }

    /// <inheritdoc/>
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
            _values = null;
        }
    }

    private protected override int ReadEntry(byte* key, byte* value) => Peek(value);

    private protected override int TakeEntry(byte* key, byte* value) => Pop(value);

    private protected override int WriteEntry(byte* key, byte* value, ulong mode) => Push(value, mode);

    private protected override int NextEntry(byte* key, byte* next) => -Errno.Invalid;

    private protected override int ReadEntries(ref ulong cursor, byte* keys, byte* values, int capacity, out bool done)
    {
        done = true;
        return -NoSuchOperation;
    }

    /// <summary>The value with that number, counted from the oldest.</summary>
    private byte* At(uint number) => _values + ((nuint)((_oldest + number) % MaxEntries) * (uint)ValueSize);
}
