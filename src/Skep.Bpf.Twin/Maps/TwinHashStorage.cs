using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Twin.Maps;

/// <summary>
/// Hash maps of all four kinds. An index of slots (open addressing, linear probing, half full at most) points into an array of entries.
/// <code>
/// slot   8 bytes:  entry number (0 = empty) : 32 | hash : 32
/// entry  8 bytes:  previous : 32 | next : 32     the LRU ring through entry 0, most recent first; in a free entry previous is Free
///        key, rounded up to 8 bytes
///        value, rounded up to 8 bytes, once per CPU for per-CPU kinds
/// </code>
/// Replacing a value moves the entry into spare memory, as the kernel does, so that a reference obtained before keeps reading the old value;
/// the memory is reused by the next replacement. Per-CPU kinds are written in place, also as the kernel does.
/// Eviction is by exact recency; the kernel's is approximate, and it evicts earlier because each CPU hoards free entries.
/// </summary>
internal sealed unsafe partial class TwinHashStorage<TShape> : TwinMapStorage
    where TShape : struct, IKeyShape
{
    private const uint Free = uint.MaxValue;
    private const int HeaderSize = 8;

    private readonly PinnedMemory _indexMemory;
    private readonly PinnedMemory _entryMemory;
    private readonly bool _isLru;
    private readonly bool _isPerCpu;
    private readonly int _keySize;
    private readonly int _valueOffset;
    private readonly int _valueStride;
    private readonly nuint _entrySize;
    private readonly uint _mask;

    private ulong* _index;
    private byte* _entries;
    private uint _count;
    private uint _used;
    private uint _freeHead;
    private uint _spare;

    public TwinHashStorage(BpfMap map, TwinEnvironment environment, Lock gate)
        : base(map, environment, gate)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(MaxEntries, 1u << 30, nameof(map));
        _isLru = map.Kind is MapKind.LruHash or MapKind.LruPerCpuHash;
        _isPerCpu = IsPerCpu;
        _keySize = KeySize;
        _valueStride = ValueStride;
        _valueOffset = HeaderSize + ((KeySize + 7) & ~7);
        _entrySize = (nuint)(_valueOffset + (_valueStride * ValuesPerEntry));

        var slots = System.Numerics.BitOperations.RoundUpToPowerOf2(Math.Max(MaxEntries * 2, 8));
        _mask = slots - 1;
        _indexMemory = new PinnedMemory((ulong)slots * sizeof(ulong));

        // Entry 0 is the head of the LRU ring; one more than the capacity is the spare for replacements.
        _entryMemory = new PinnedMemory((MaxEntries + 2ul) * _entrySize);
        _index = (ulong*)_indexMemory.Address;
        _entries = _entryMemory.Address;
        _used = 1;
        _spare = TakeFree();
    }

    /// <inheritdoc/>
    public override uint Count => _count;

    /// <inheritdoc/>
    public override byte* Find(byte* key)
    {
        var slot = FindSlot(key);
        if (slot < 0)
        {
            return null;
        }

        var number = (uint)_index[slot];
        if (_isLru)
        {
            Touch(number);
        }

        return LiveValue(number);
    }

    /// <inheritdoc/>
    public override int Update(byte* key, byte* value, ulong mode)
    {
        var slot = FindSlot(key);
        var refused = Check(slot, mode);
        if (refused != 0)
        {
            return refused;
        }

        if (!_isPerCpu)
        {
            return slot >= 0 ? Replace(slot, key, value) : Insert(key, value);
        }

        uint number;
        if (slot >= 0)
        {
            number = (uint)_index[slot];
            TouchIfLru(number);
        }
        else
        {
            number = Append(key);
            if (number == 0)
            {
                return -Errno.TooBig;
            }

            // kernel/bpf/hashtab.c pcpu_init_value: an entry made by a program is zero on the other CPUs.
            new Span<byte>(Entry(number) + _valueOffset, _valueStride * ValuesPerEntry).Clear();
        }

        CopyValue(value, LiveValue(number));
        return 0;
    }

    /// <inheritdoc/>
    public override int Delete(byte* key)
    {
        var slot = FindSlot(key);
        if (slot < 0)
        {
            return -Errno.NoEntry;
        }

        Drop(slot);
        return 0;
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        lock (Gate)
        {
            IsDisposed = true;
            _index = null;
            _entries = null;
        }
    }

    /// <inheritdoc/>
    internal override bool TryLocate(byte* inside, out byte* key, out byte* value)
    {
        key = null;
        value = null;
        var number = (ulong)(inside - _entries) / _entrySize;
        if (_isPerCpu || inside < _entries || number == 0 || number >= _used || *(uint*)Entry((uint)number) == Free)
        {
            return false;
        }

        key = Entry((uint)number) + HeaderSize;
        value = Entry((uint)number) + _valueOffset;
        return true;
    }

    private protected override int ReadEntry(byte* key, byte* value)
    {
        // A look from the user side does not count as use (htab_lru_map_lookup_elem_sys).
        var slot = FindSlot(key);
        if (slot < 0)
        {
            return -Errno.NoEntry;
        }

        CopyOut(Entry((uint)_index[slot]) + _valueOffset, value);
        return 0;
    }

    private protected override int WriteEntry(byte* key, byte* value, ulong mode)
    {
        if (!_isPerCpu)
        {
            return Update(key, value, mode);
        }

        var slot = FindSlot(key);
        var refused = Check(slot, mode);
        if (refused != 0)
        {
            return refused;
        }

        var number = slot >= 0 ? (uint)_index[slot] : Append(key);
        if (number == 0)
        {
            return -Errno.TooBig;
        }

        TouchIfLru(number);
        CopyIn(value, Entry(number) + _valueOffset);
        return 0;
    }

    private protected override int NextEntry(byte* key, byte* next)
    {
        // A key that is gone starts again from the first one, as in the kernel.
        var slot = key == null ? -1 : FindSlot(key);
        var number = NextLive(slot < 0 ? 1 : (uint)_index[slot] + 1);
        if (number == 0)
        {
            return -Errno.NoEntry;
        }

        Copy(Entry(number) + HeaderSize, next, _keySize);
        return 0;
    }

    private protected override int ReadEntries(ref ulong cursor, byte* keys, byte* values, int capacity, out bool done)
    {
        var read = 0;
        var number = NextLive(Math.Max((uint)cursor, 1));
        while (number != 0 && read < capacity)
        {
            Copy(Entry(number) + HeaderSize, keys + ((long)read * _keySize), _keySize);
            CopyOut(Entry(number) + _valueOffset, values + ((long)read * UserValueSize));
            read++;
            cursor = number + 1;
            number = NextLive(number + 1);
        }

        done = number == 0;
        return read;
    }

    private static int Check(int slot, ulong mode)
    {
        if (mode > (ulong)UpdateMode.Exist)
        {
            return -Errno.Invalid;
        }

        return mode == (ulong)UpdateMode.NoExist && slot >= 0 ? -Errno.Exists
            : mode == (ulong)UpdateMode.Exist && slot < 0 ? -Errno.NoEntry
            : 0;
    }

    private uint NextLive(uint number)
    {
        for (; number < _used; number++)
        {
            if (*(uint*)Entry(number) != Free)
            {
                return number;
            }
        }

        return 0;
    }

    private int Replace(int slot, byte* key, byte* value)
    {
        var old = (uint)_index[slot];
        var number = _spare;
        if (_isLru)
        {
            Unlink(old);
        }

        SetFree(old, 0);
        _spare = old;
        _index[slot] = (_index[slot] & 0xFFFFFFFF_00000000) | number;
        Fill(number, key);
        CopyValue(value, Entry(number) + _valueOffset);
        return 0;
    }

    private int Insert(byte* key, byte* value)
    {
        var number = Append(key);
        if (number == 0)
        {
            return -Errno.TooBig;
        }

        CopyValue(value, Entry(number) + _valueOffset);
        return 0;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private byte* Entry(uint number) => _entries + (number * _entrySize);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private byte* LiveValue(uint number)
    {
        var value = Entry(number) + _valueOffset;
        return _isPerCpu ? value + (Environment.CurrentCpu * (uint)_valueStride) : value;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int FindSlot(byte* key)
    {
        if (_index == null)
        {
            ThrowDisposed();
        }

        var hash = TShape.Hash(key, _keySize);
        var i = hash & _mask;
        ulong slot;
        while ((slot = _index[i]) != 0)
        {
            if ((uint)(slot >> 32) == hash && TShape.AreEqual(Entry((uint)slot) + HeaderSize, key, _keySize))
            {
                return (int)i;
            }

            i = (i + 1) & _mask;
        }

        return -1;
    }
}
