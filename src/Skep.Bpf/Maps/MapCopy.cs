using System.Buffers;
using System.Runtime.InteropServices;
using Skep.Bpf.Btf;

namespace Skep.Bpf.Maps;

/// <summary>
/// Copies the entries of a map into one that takes its place: of another size, or with keys and values of types that grew out of the old ones. Programs may go
/// on using both maps; entries that come or go meanwhile may be missed.
/// </summary>
public sealed unsafe class MapCopy
{
    private const int Batch = 4096, BatchBytes = 1 << 22;

    private readonly MapStorage _from;
    private readonly MapShape _old;
    private readonly MapStorage _to;
    private readonly MapShape _new;
    private readonly BtfConversion? _key;
    private readonly BtfConversion? _value;

    private MapCopy(MapStorage from, MapShape old, BpfMap to, BtfConversion? key, BtfConversion? value)
    {
        (_from, _old, _to, _new) = (from, old, to.Storage, MapShape.Of(to));
        (_key, _value) = (key is { IsIdentity: false } ? key : null, value is { IsIdentity: false } ? value : null);
    }

    /// <summary>Describes a copy; null when the entries of the one map cannot be entries of the other.</summary>
    /// <param name="from">The entries.</param>
    /// <param name="old">The shape of the map that they belong to.</param>
    /// <param name="to">The bound map that is to take them.</param>
    /// <param name="key">How keys change; null when they stay as they are.</param>
    /// <param name="value">How values change; null when they stay as they are.</param>
    public static MapCopy? For(MapStorage from, MapShape old, BpfMap to, BtfConversion? key = null, BtfConversion? value = null)
    {
        ArgumentNullException.ThrowIfNull(from);
        ArgumentNullException.ThrowIfNull(to);
        var now = MapShape.Of(to);
        var fits = old.HasEntries && now.HasEntries && old.IsArray == now.IsArray && old.IsPerCpu == now.IsPerCpu
            && (key?.FromSize ?? now.KeySize) == old.KeySize && (value?.FromSize ?? now.ValueSize) == old.ValueSize;

        // Keys that lose a part may become equal, and those of an array are numbers.
        return fits && key is not { Removed.Count: > 0 } && value is not { CarriesAnything: false } ? new MapCopy(from, old, to, key, value) : null;
    }

    /// <summary>Copies what is there.</summary>
    /// <exception cref="BpfException">The kernel refused to read or to write.</exception>
    public MapCopyResult Run()
    {
        if (_old.IsArray)
        {
            return CopyArray();
        }

        var result = default(MapCopyResult);
        ReadAll((keys, values, count) => result = result.Plus(Write(keys, values, count)));
        return result;
    }

    /// <summary>Copies everything again, and removes what is not there any more: for as long as nobody uses the new map. Of arrays nothing.</summary>
    /// <exception cref="BpfException">The kernel refused to read or to write.</exception>
    public void Renew()
    {
        if (_old.IsArray)
        {
            return;
        }

        ReadAll(_to, _new, (keys, _, count) =>
        {
            var status = _to.RemoveBatch(keys, count);
            if (status < 0)
            {
                throw new BpfException("Removing entries of the new map failed", status);
            }
        });
        Run();
    }

    /// <summary>Copies what the new map has nothing for; of arrays nothing.</summary>
    /// <exception cref="BpfException">The kernel refused to read or to write.</exception>
    public void Add()
    {
        if (!_old.IsArray)
        {
            ReadAll((keys, values, count) =>
            {
                var (freshKeys, freshValues, fits) = Convert(keys, values, count);
                WriteEach(freshKeys, freshValues, fits, UpdateMode.NoExist);
            });
        }
    }

    private MapCopyResult CopyArray()
    {
        var shared = Math.Min(_old.MaxEntries, _new.MaxEntries);
        if (_value is null && _from.Memory is not null and var from && _to.Memory is not null and var to)
        {
            // SAFETY: a mapped array holds MaxEntries values of its stride, and both live as long as their storage, which this object holds.
            var stride = (_old.ValueSize + 7) & ~7;
            Buffer.MemoryCopy(from, to, (long)_new.MaxEntries * stride, (long)shared * stride);
            return new(shared, 0, CountTaken(from + ((long)shared * stride), _old.MaxEntries - shared, stride));
        }

        var result = default(MapCopyResult);
        ReadAll((keys, values, count) => result = result.Plus(WriteElements(keys, values, count)));
        return result;
    }

    private MapCopyResult WriteElements(ReadOnlySpan<byte> keys, ReadOnlySpan<byte> values, int count)
    {
        var indexes = MemoryMarshal.Cast<byte, uint>(keys)[..count];
        var (size, fresh) = (values.Length / count, ValueBytes(_new, _to));
        var (kept, keptKeys, written) = (new byte[count * fresh], new byte[count * sizeof(uint)], 0);
        long lost = 0, outside = 0;
        for (var i = 0; i < count; i++)
        {
            // What is zero there is zero here.
            var value = values.Slice(i * size, size);
            if (!value.ContainsAnyExcept((byte)0))
            {
                continue;
            }

            if (indexes[i] >= _new.MaxEntries)
            {
                outside++;
            }
            else if (!TryConvertValue(value, kept.AsSpan(written * fresh, fresh)))
            {
                lost++;
            }
            else
            {
                BitConverter.TryWriteBytes(keptKeys.AsSpan(written * sizeof(uint)), indexes[i]);
                written++;
            }
        }

        var status = _to.WriteBatch(keptKeys.AsSpan(0, written * sizeof(uint)), kept.AsSpan(0, written * fresh), written, (ulong)UpdateMode.Any);
        return status < 0 ? throw new BpfException("Writing entries to the new map failed", status) : new(written, lost, outside);
    }

    private MapCopyResult Write(ReadOnlySpan<byte> keys, ReadOnlySpan<byte> values, int count)
    {
        var (freshKeys, freshValues, fits) = Convert(keys, values, count);
        var written = _to.WriteBatch(freshKeys.AsSpan(0, fits * _new.KeySize), freshValues.AsSpan(0, fits * ValueBytes(_new, _to)), fits, (ulong)UpdateMode.Any);
        return (written == fits ? new(fits, 0, 0) : WriteEach(freshKeys, freshValues, fits, UpdateMode.Any)).Plus(new(0, count - fits, 0));
    }

    private (byte[] Keys, byte[] Values, int Count) Convert(ReadOnlySpan<byte> keys, ReadOnlySpan<byte> values, int count)
    {
        var (oldKey, oldValue, key, value) = (_old.KeySize, ValueBytes(_old, _from), _new.KeySize, ValueBytes(_new, _to));
        var (freshKeys, freshValues, fits) = (new byte[count * key], new byte[count * value], 0);
        for (var i = 0; i < count; i++)
        {
            var keyRoom = freshKeys.AsSpan(fits * key, key);
            if (TryConvertKey(keys.Slice(i * oldKey, oldKey), keyRoom) && TryConvertValue(values.Slice(i * oldValue, oldValue), freshValues.AsSpan(fits * value, value)))
            {
                fits++;
            }
        }

        return (freshKeys, freshValues, fits);
    }

    private MapCopyResult WriteEach(byte[] keys, byte[] values, int count, UpdateMode mode)
    {
        var (key, value) = (_new.KeySize, ValueBytes(_new, _to));
        var result = default(MapCopyResult);
        for (var i = 0; i < count; i++)
        {
            result = result.Plus(WriteOne(keys.AsSpan(i * key, key), values.AsSpan(i * value, value), mode));
        }

        return result;
    }

    private MapCopyResult WriteOne(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, UpdateMode mode) => _to.Write(key, value, (ulong)mode) switch
    {
        0 => new(1, 0, 0),
        -Errno.Exists => default,
        -Errno.TooBig or -Errno.NoSpace => new(0, 0, 1),
        var status => throw new BpfException("Writing an entry to the new map failed", status),
    };

    private bool TryConvertKey(ReadOnlySpan<byte> from, Span<byte> to)
    {
        if (_key is not null)
        {
            return _key.TryConvert(from, to);
        }

        from.CopyTo(to);
        return true;
    }

    // Values of all CPUs, each rounded up to eight bytes, or one.
    private bool TryConvertValue(ReadOnlySpan<byte> from, Span<byte> to)
    {
        if (_value is null)
        {
            from.CopyTo(to);
            return true;
        }

        var cpus = _old.IsPerCpu ? _from.ValuesPerEntry : 1;
        for (var cpu = 0; cpu < cpus; cpu++)
        {
            if (!_value.TryConvert(from[(cpu * (from.Length / cpus))..], to.Slice(cpu * (to.Length / cpus), to.Length / cpus)))
            {
                return false;
            }
        }

        return true;
    }

    private void ReadAll(EntryVisitor visit) => ReadAll(_from, _old, visit);

    private static void ReadAll(MapStorage storage, MapShape shape, EntryVisitor visit)
    {
        var value = ValueBytes(shape, storage);
        var capacity = (int)Math.Min(shape.MaxEntries, Math.Max(64, Math.Min(Batch, BatchBytes / (value + shape.KeySize))));
        ulong cursor = 0;
        var done = false;
        while (!done)
        {
            var keys = ArrayPool<byte>.Shared.Rent(capacity * shape.KeySize);
            var values = ArrayPool<byte>.Shared.Rent(capacity * value);
            var read = storage.ReadBatch(ref cursor, keys.AsSpan(0, capacity * shape.KeySize), values.AsSpan(0, capacity * value), capacity, out done);
            if (read > 0)
            {
                visit(keys.AsSpan(0, read * shape.KeySize), values.AsSpan(0, read * value), read);
            }

            ArrayPool<byte>.Shared.Return(keys);
            ArrayPool<byte>.Shared.Return(values);
            if (read == -Errno.NoSpace && capacity < shape.MaxEntries)
            {
                // A bucket of a hash table comes whole or not at all.
                (capacity, done) = ((int)Math.Min(capacity * 4u, shape.MaxEntries), false);
            }
            else if (read < 0)
            {
                throw new BpfException("Reading entries of a map failed", read);
            }
        }
    }

    private static long CountTaken(byte* first, long count, int stride)
    {
        long taken = 0;
        for (var i = 0L; i < count; i++)
        {
            taken += new ReadOnlySpan<byte>(first + (i * stride), stride).ContainsAnyExcept((byte)0) ? 1 : 0;
        }

        return taken;
    }

    private static int ValueBytes(MapShape shape, MapStorage storage) =>
        shape.IsPerCpu ? ((shape.ValueSize + 7) & ~7) * storage.ValuesPerEntry : shape.ValueSize;

    private delegate void EntryVisitor(ReadOnlySpan<byte> keys, ReadOnlySpan<byte> values, int count);
}

/// <summary>What became of the entries of a map.</summary>
/// <param name="Copied">Entries that are in the new map now.</param>
/// <param name="Unlike">Entries whose numbers do not fit the new types, or whose names are gone; they are left out.</param>
/// <param name="NoRoom">Entries for which there was no room; of arrays those that are not zero.</param>
public readonly record struct MapCopyResult(long Copied, long Unlike, long NoRoom)
{
    internal MapCopyResult Plus(MapCopyResult other) => new(Copied + other.Copied, Unlike + other.Unlike, NoRoom + other.NoRoom);
}
