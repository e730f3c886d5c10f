using System.Runtime.InteropServices;

namespace Skep.Bpf.Maps;

/// <summary>A map with one value per key, seen from the user side.</summary>
public abstract class ValueMap<TKey, TValue> : KeyedMap<TKey, TValue>
    where TKey : unmanaged
    where TValue : unmanaged
{
    private protected ValueMap(MapKind kind, uint maxEntries, MapFlags flags, string? name)
        : base(kind, maxEntries, flags, name)
    {
    }

    /// <summary>User side: reads a copy of the value; false when the key is absent.</summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public bool TryGet(in TKey key, out TValue value)
    {
        value = default;
        var status = Storage.Read(Bytes(in key), WritableBytes(ref value));
        return status switch
        {
            0 => true,
            -Errno.NoEntry => false,
            _ => throw BpfException.ForMap(this, "lookup", status),
        };
    }

    /// <summary>User side: inserts or replaces.</summary>
    /// <exception cref="BpfException">The kernel refused; E2BIG means that the map is full.</exception>
    public void Set(in TKey key, in TValue value) => Check(TrySet(in key, in value));

    /// <summary>User side: inserts or replaces; 0 or a negative errno.</summary>
    public int TrySet(in TKey key, in TValue value, UpdateMode mode = UpdateMode.Any) =>
        Storage.Write(Bytes(in key), Bytes(in value), (ulong)mode);

    /// <summary>User side: inserts or replaces many entries, by one call where the kernel has batches (5.6), else one after the other.</summary>
    /// <exception cref="BpfException">The kernel refused; some of the entries may be in. E2BIG means that the map is full.</exception>
    public void SetAll(ReadOnlySpan<TKey> keys, ReadOnlySpan<TValue> values)
    {
        if (keys.Length != values.Length)
        {
            throw new ArgumentException($"There are {keys.Length} keys and {values.Length} values.", nameof(values));
        }

        Check(Math.Min(0, Storage.WriteBatch(MemoryMarshal.AsBytes(keys), MemoryMarshal.AsBytes(values), keys.Length, (ulong)UpdateMode.Any)));
    }

    /// <summary>
    /// User side: reads all entries in batches of about <paramref name="batch"/>, calling <paramref name="visit"/> for each; returns their
    /// number. Entries that come or go meanwhile may be missed.
    /// </summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public int ReadAll(Action<TKey, TValue> visit, int batch = 1024)
    {
        ArgumentNullException.ThrowIfNull(visit);
        using var batches = Batches(batch);
        var total = 0;
        while (batches.Read())
        {
            var keys = batches.Keys;
            var values = batches.Values;
            for (var i = 0; i < keys.Length; i++)
            {
                visit(keys[i], values[i]);
            }

            total += keys.Length;
        }

        return total;
    }

    /// <summary>User side: begins to read all entries in batches of about that many. To read again and again, keep it and restart it.</summary>
    public ValueBatches<TKey, TValue> Batches(int capacity = 1024) => new(this, capacity, take: false);

    /// <summary>
    /// User side: begins to read and remove all entries in batches of about that many, by one call each where the kernel can (hash tables, 5.6).
    /// Then nothing that a program adds meanwhile is lost: it is in this batch, in a later one, or stays.
    /// </summary>
    public ValueBatches<TKey, TValue> TakeBatches(int capacity = 1024) => new(this, capacity, take: true);

    /// <summary>User side: reads a value and removes the entry, in one step where the kernel can (hash tables, 5.14); false when the key is absent.</summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public bool TryTake(in TKey key, out TValue value)
    {
        value = default;
        var status = Storage.Take(Bytes(in key), WritableBytes(ref value));
        return status switch
        {
            0 => true,
            -Errno.NoEntry => false,
            _ => throw BpfException.ForMap(this, "lookup and delete", status),
        };
    }

    private void Check(int status)
    {
        if (status < 0)
        {
            throw BpfException.ForMap(this, "update", status);
        }
    }
}
