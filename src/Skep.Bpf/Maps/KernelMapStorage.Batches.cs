using Skep.Bpf.Kernel;

namespace Skep.Bpf.Maps;

public sealed unsafe partial class KernelMapStorage
{
    // A cursor of the kernel is 32 bits: a bucket or an index. Bit 32 tells it from the beginning, bit 33 marks a walk by keys.
    private const ulong Started = 1UL << 32, ByKeys = 1UL << 33;

    // Walks by keys that nobody finished; the oldest is given up when there are more.
    private const int MostWalks = 16;

    private readonly Lock _walksLock = new();
    private readonly SortedDictionary<ulong, KeyWalk> _walks = [];
    private ulong _lastWalk;

    /// <inheritdoc/>
    public override int ReadBatch(ref ulong cursor, Span<byte> keys, Span<byte> values, int capacity, out bool done)
    {
        var status = Batch(take: false, ref cursor, keys, values, capacity, out done);
        return status == -NoSuchOperation ? WalkKeys(ref cursor, keys, values, capacity, out done) : status;
    }

    /// <inheritdoc/>
    public override int TakeBatch(ref ulong cursor, Span<byte> keys, Span<byte> values, int capacity, out bool done)
    {
        var status = Batch(take: true, ref cursor, keys, values, capacity, out done);
        return status == -NoSuchOperation ? base.TakeBatch(ref cursor, keys, values, capacity, out done) : status;
    }

    /// <inheritdoc/>
    public override int RemoveBatch(ReadOnlySpan<byte> keys, int count)
    {
        Check(keys.Length, checked(count * KeySize), nameof(keys));
        var (done, removed) = (0, 0);
        while (done < count)
        {
            int status;
            uint deleted;
            using (var lease = _handle.Borrow())
            {
                fixed (byte* k = keys)
                {
                    var attributes = new MapBatchAttributes { Keys = k + (done * KeySize), Count = (uint)(count - done), Map = lease.Descriptor };
                    status = BpfSyscall.MapDeleteBatch(ref attributes);
                    deleted = attributes.Count;
                }
            }

            if (status == -NoSuchOperation)
            {
                return base.RemoveBatch(keys, count);
            }

            // A key that is not there ends the call; the next one goes on behind it.
            if (status is not 0 and not -Errno.NoEntry)
            {
                return status;
            }

            removed += (int)deleted;
            done += (int)deleted + (status == 0 ? 0 : 1);
        }

        return removed;
    }

    private int Batch(bool take, ref ulong cursor, Span<byte> keys, Span<byte> values, int capacity, out bool done)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(capacity);
        Check(keys.Length, checked(capacity * KeySize), nameof(keys));
        Check(values.Length, checked(capacity * _valueBytes), nameof(values));
        if (Kind == MapKind.LpmTrie || (cursor & ByKeys) != 0)
        {
            done = false;
            return -NoSuchOperation;
        }

        using var lease = _handle.Borrow();
        fixed (byte* k = keys)
        fixed (byte* v = values)
        {
            var (from, to) = ((uint)cursor, 0u);
            var attributes = new MapBatchAttributes
            {
                InBatch = (cursor & Started) != 0 ? &from : null,
                OutBatch = &to,
                Keys = k,
                Values = v,
                Count = (uint)capacity,
                Map = lease.Descriptor,
            };
            var status = take ? BpfSyscall.MapLookupAndDeleteBatch(ref attributes) : BpfSyscall.MapLookupBatch(ref attributes);
            if (status == -NoSuchOperation)
            {
                done = false;
                return status;
            }

            cursor = Started | to;

            // ENOENT says that the end was reached, with the last entries.
            done = status != 0;
            return status is 0 or -Errno.NoEntry ? (int)attributes.Count : status;
        }
    }

    /// <inheritdoc/>
    public override int WriteBatch(ReadOnlySpan<byte> keys, ReadOnlySpan<byte> values, int count, ulong mode)
    {
        Check(keys.Length, checked(count * KeySize), nameof(keys));
        Check(values.Length, checked(count * _valueBytes), nameof(values));
        if (count == 0)
        {
            return 0;
        }

        int status;
        using (var lease = _handle.Borrow())
        {
            fixed (byte* k = keys)
            fixed (byte* v = values)
            {
                var attributes = new MapBatchAttributes { Keys = k, Values = v, Count = (uint)count, Map = lease.Descriptor, ElementFlags = mode };
                status = BpfSyscall.MapUpdateBatch(ref attributes);
            }
        }

        return status switch
        {
            0 => count,
            -NoSuchOperation => base.WriteBatch(keys, values, count, mode),
            _ => status,
        };
    }

    /// <summary>Reads by key and next key, for kinds that have no batch call. An entry that goes meanwhile is left out.</summary>
    private int WalkKeys(ref ulong cursor, Span<byte> keys, Span<byte> values, int capacity, out bool done)
    {
        var walk = ResumeWalk(ref cursor);
        done = true;
        if (walk is null)
        {
            return -Errno.TryAgain;
        }

        var read = 0;
        while (read < capacity)
        {
            var key = keys.Slice(read * KeySize, KeySize);

            // A key that was removed meanwhile sends the walk back to the beginning: the count keeps it from going round for ever.
            var status = walk.Seen >= MaxEntries ? -Errno.NoEntry : NextKey(walk.LastKey, key);
            if (status < 0)
            {
                EndWalk(cursor);
                return status == -Errno.NoEntry ? read : status;
            }

            walk.Remember(key);
            status = Read(key, values.Slice(read * _valueBytes, _valueBytes));
            if (status == 0)
            {
                read++;
            }
            else if (status != -Errno.NoEntry)
            {
                EndWalk(cursor);
                return status;
            }
        }

        done = false;
        return read;
    }

    private KeyWalk? ResumeWalk(ref ulong cursor)
    {
        lock (_walksLock)
        {
            if (cursor != 0)
            {
                return _walks.GetValueOrDefault(cursor);
            }

            if (_walks.Count >= MostWalks)
            {
                _walks.Remove(_walks.Keys.First());
            }

            cursor = ByKeys | (++_lastWalk << 34);
            return _walks[cursor] = new KeyWalk();
        }
    }

    private void EndWalk(ulong cursor)
    {
        lock (_walksLock)
        {
            _walks.Remove(cursor);
        }
    }

    private sealed class KeyWalk
    {
        internal byte[] LastKey { get; private set; } = [];

        internal uint Seen { get; private set; }

        internal void Remember(ReadOnlySpan<byte> key)
        {
            LastKey = LastKey.Length == 0 ? new byte[key.Length] : LastKey;
            key.CopyTo(LastKey);
            Seen++;
        }
    }
}
