using Skep.Bpf.Maps;

namespace Skep.Bpf.Twin.Maps;

/// <summary>Arrays, plain and per CPU: all entries exist from the start, zeroed (<c>kernel/bpf/arraymap.c</c>).</summary>
internal sealed unsafe class TwinArrayStorage : TwinMapStorage
{
    private readonly PinnedMemory _memory;
    private readonly nuint _entrySize;
    private readonly bool _isPerCpu;
    private readonly nuint _cpuStride;
    private readonly PinnedMemory _located = new(sizeof(uint));
    private byte* _values;
    private uint _length;

    public TwinArrayStorage(BpfMap map, TwinEnvironment environment, Lock gate)
        : base(map, environment, gate)
    {
        _isPerCpu = IsPerCpu;
        _cpuStride = (nuint)ValueStride;
        _entrySize = (nuint)(ValueStride * ValuesPerEntry);
        _memory = new PinnedMemory((ulong)MaxEntries * _entrySize);
        _values = _memory.Address;
        _length = MaxEntries;
    }

    /// <inheritdoc/>
    public override uint Count => MaxEntries;

    /// <inheritdoc/>
    public override byte* Find(byte* key)
    {
        var index = *(uint*)key;
        if (index >= _length)
        {
            RequireLive();
            return null;
        }

        return Live(index);
    }

    /// <inheritdoc/>
    public override int Update(byte* key, byte* value, ulong mode)
    {
        RequireLive();
        var refused = Check(*(uint*)key, mode);
        if (refused == 0)
        {
            CopyValue(value, Live(*(uint*)key));
        }

        return refused;
    }

    /// <inheritdoc/>
    public override int Delete(byte* key)
    {
        RequireLive();
        return -Errno.Invalid;
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        lock (Gate)
        {
            IsDisposed = true;
            _length = 0;
            _values = null;
        }
    }

    /// <inheritdoc/>
    internal override bool TryLocate(byte* inside, out byte* key, out byte* value)
    {
        key = _located.Address;
        value = null;
        var index = (ulong)(inside - _values) / _entrySize;
        if (_isPerCpu || inside < _values || index >= _length)
        {
            return false;
        }

        *(uint*)key = (uint)index;
        value = _values + (index * _entrySize);
        return true;
    }

    private protected override int ReadEntry(byte* key, byte* value)
    {
        var index = *(uint*)key;
        if (index >= _length)
        {
            return -Errno.NoEntry;
        }

        CopyOut(_values + (index * _entrySize), value);
        return 0;
    }

    private protected override int WriteEntry(byte* key, byte* value, ulong mode)
    {
        var index = *(uint*)key;
        var refused = Check(index, mode);
        if (refused == 0)
        {
            CopyIn(value, _values + (index * _entrySize));
        }

        return refused;
    }

    private protected override int NextEntry(byte* key, byte* next)
    {
        // array_map_get_next_key: an index out of range starts again at 0.
        var index = key == null ? uint.MaxValue : *(uint*)key;
        if (index < _length && index == _length - 1)
        {
            return -Errno.NoEntry;
        }

        *(uint*)next = index >= _length ? 0 : index + 1;
        return 0;
    }

    private protected override int ReadEntries(ref ulong cursor, byte* keys, byte* values, int capacity, out bool done)
    {
        var read = 0;
        for (; cursor < _length && read < capacity; cursor++, read++)
        {
            ((uint*)keys)[read] = (uint)cursor;
            CopyOut(_values + ((nuint)cursor * _entrySize), values + ((long)read * UserValueSize));
        }

        done = cursor >= _length;
        return read;
    }

    private int Check(uint index, ulong mode) =>
        mode > (ulong)UpdateMode.Exist ? -Errno.Invalid
        : index >= _length ? -Errno.TooBig
        : mode == (ulong)UpdateMode.NoExist ? -Errno.Exists
        : 0;

    private byte* Live(uint index)
    {
        var value = _values + (index * _entrySize);
        return _isPerCpu ? value + (Environment.CurrentCpu * _cpuStride) : value;
    }
}
