using System.Buffers;
using System.Runtime.InteropServices;

namespace Skep.Bpf.Maps;

/// <summary>
/// Walks through a map in batches, into buffers that it keeps: reading allocates nothing, neither per entry nor per batch. Where the kernel has
/// no batch calls (before 5.6, or not for the kind) it goes by single calls. Entries that come or go meanwhile may be missed.
/// </summary>
/// <typeparam name="TKey">Key struct.</typeparam>
public abstract class MapBatches<TKey> : IDisposable
    where TKey : unmanaged
{
    private readonly BpfMap _map;
    private readonly int _entryBytes;
    private readonly bool _take;
    private TKey[] _keys;
    private byte[] _values;
    private int _capacity;
    private ulong _cursor;
    private bool _done;
    private bool _disposed;

    private protected MapBatches(BpfMap map, int entryBytes, int capacity, bool take)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(capacity);
        (_map, _entryBytes, _take) = (map, entryBytes, take);
        _capacity = (int)Math.Min((uint)capacity, map.MaxEntries);
        _keys = ArrayPool<TKey>.Shared.Rent(_capacity);
        _values = ArrayPool<byte>.Shared.Rent(checked(_capacity * entryBytes));
    }

    /// <summary>Entries of the batch.</summary>
    public int Count { get; private set; }

    /// <summary>Keys of the batch, valid until the next <see cref="Read"/>.</summary>
    public ReadOnlySpan<TKey> Keys => _keys.AsSpan(0, Count);

    /// <summary>Values of the batch, as the kernel lays them out.</summary>
    private protected ReadOnlySpan<byte> ValueBytes => _values.AsSpan(0, Count * _entryBytes);

    /// <summary>Gets the next batch; false when there are no more entries. A batch may be empty before the end is reached.</summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public bool Read()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        Count = 0;
        while (!_done)
        {
            var keys = MemoryMarshal.AsBytes(_keys.AsSpan(0, _capacity));
            var values = _values.AsSpan(0, _capacity * _entryBytes);
            var read = _take
                ? _map.Storage.TakeBatch(ref _cursor, keys, values, _capacity, out _done)
                : _map.Storage.ReadBatch(ref _cursor, keys, values, _capacity, out _done);
            if (read >= 0)
            {
                Count = read;
                return read > 0 || !_done;
            }

            // The kernel gives a bucket of a hash table whole or not at all; the cursor stays before it, and more room gets it.
            if (read != -Errno.NoSpace || _capacity == _map.MaxEntries)
            {
                _done = true;
                throw BpfException.ForMap(_map, _take ? "batch lookup and delete" : "batch lookup", read);
            }

            _done = false;
            Grow();
        }

        return false;
    }

    /// <summary>Begins again with the first entry.</summary>
    public void Restart()
    {
        _cursor = 0;
        _done = false;
        Count = 0;
    }

    /// <summary>Gives the buffers back.</summary>
    public void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            Count = 0;
            ArrayPool<TKey>.Shared.Return(_keys);
            ArrayPool<byte>.Shared.Return(_values);
        }
    }

    private void Grow()
    {
        ArrayPool<TKey>.Shared.Return(_keys);
        ArrayPool<byte>.Shared.Return(_values);
        _capacity = (int)Math.Min(_capacity * 4u, _map.MaxEntries);
        _keys = ArrayPool<TKey>.Shared.Rent(_capacity);
        _values = ArrayPool<byte>.Shared.Rent(checked(_capacity * _entryBytes));
    }
}

/// <summary>Batches of a map with one value per key.</summary>
/// <typeparam name="TKey">Key struct.</typeparam>
/// <typeparam name="TValue">Value struct.</typeparam>
public sealed class ValueBatches<TKey, TValue> : MapBatches<TKey>
    where TKey : unmanaged
    where TValue : unmanaged
{
    internal ValueBatches(ValueMap<TKey, TValue> map, int capacity, bool take)
        : base(map, map.ValueSize, capacity, take)
    {
    }

    /// <summary>Values of the batch in the order of the keys, valid until the next read.</summary>
    public ReadOnlySpan<TValue> Values => MemoryMarshal.Cast<byte, TValue>(ValueBytes);
}

/// <summary>Batches of a map with a value per CPU under each key.</summary>
/// <typeparam name="TKey">Key struct.</typeparam>
/// <typeparam name="TValue">Value struct.</typeparam>
public sealed class PerCpuBatches<TKey, TValue> : MapBatches<TKey>
    where TKey : unmanaged
    where TValue : unmanaged
{
    private readonly TValue[] _perCpu;
    private readonly int _stride;

    internal PerCpuBatches(PerCpuMap<TKey, TValue> map, int stride, int capacity, bool take)
        : base(map, checked(stride * map.Storage.ValuesPerEntry), capacity, take)
    {
        _stride = stride;
        _perCpu = new TValue[map.Storage.ValuesPerEntry];
    }

    /// <summary>The values of all possible CPUs, in order, of the entry with that number in the batch; valid until the next call.</summary>
    public ReadOnlySpan<TValue> Values(int entry)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)entry, (uint)Count);
        var bytes = ValueBytes.Slice(entry * _stride * _perCpu.Length, _stride * _perCpu.Length);
        for (var cpu = 0; cpu < _perCpu.Length; cpu++)
        {
            _perCpu[cpu] = MemoryMarshal.Read<TValue>(bytes[(cpu * _stride)..]);
        }

        return _perCpu;
    }
}
