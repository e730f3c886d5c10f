using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Skep.Bpf.Maps;

/// <summary>A map with a value per CPU under each key, seen from the user side.</summary>
public abstract class PerCpuMap<TKey, TValue> : KeyedMap<TKey, TValue>
    where TKey : unmanaged
    where TValue : unmanaged
{
    private protected PerCpuMap(MapKind kind, uint maxEntries, MapFlags flags, string? name)
        : base(kind, maxEntries, flags, name)
    {
    }

    // The kernel lays the values out one after the other, each rounded up to eight bytes.
    private static int Stride => (Unsafe.SizeOf<TValue>() + 7) & ~7;

    /// <summary>User side: the values of all possible CPUs in order; false when the key is absent.</summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public bool TryGet(in TKey key, out TValue[] perCpu)
    {
        var values = new TValue[Storage.ValuesPerEntry];
        var found = TryGet(in key, values);
        perCpu = found ? values : [];
        return found;
    }

    /// <summary>User side: as the other overload, into a span of the caller, without allocation.</summary>
    /// <param name="key">The key.</param>
    /// <param name="perCpu">Takes the values; as long as <see cref="MapStorage.ValuesPerEntry"/> or longer.</param>
    /// <exception cref="ArgumentException">The span is shorter than the number of possible CPUs.</exception>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public bool TryGet(in TKey key, Span<TValue> perCpu)
    {
        var count = Storage.ValuesPerEntry;
        if (perCpu.Length < count)
        {
            throw new ArgumentException($"The span takes {perCpu.Length} values, and there are {count} possible CPUs.", nameof(perCpu));
        }

        var buffer = ArrayPool<byte>.Shared.Rent(checked(Stride * count));
        try
        {
            var status = Storage.Read(Bytes(in key), buffer.AsSpan(0, Stride * count));
            if (status is not 0 and not -Errno.NoEntry)
            {
                throw BpfException.ForMap(this, "lookup", status);
            }

            if (status == 0)
            {
                Unpack(buffer, perCpu[..count]);
            }

            return status == 0;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>User side: sets the same value on all CPUs.</summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public void Set(in TKey key, in TValue value)
    {
        var buffer = new byte[checked(Stride * Storage.ValuesPerEntry)];
        for (var i = 0; i < Storage.ValuesPerEntry; i++)
        {
            MemoryMarshal.Write(buffer.AsSpan(i * Stride), in value);
        }

        var status = Storage.Write(Bytes(in key), buffer, (ulong)UpdateMode.Any);
        if (status < 0)
        {
            throw BpfException.ForMap(this, "update", status);
        }
    }

    /// <summary>
    /// User side: reads all entries in batches of about <paramref name="batch"/>, calling <paramref name="visit"/> for each with the values
    /// of all possible CPUs; returns their number. Entries that come or go meanwhile may be missed.
    /// </summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public int ReadAll(PerCpuVisitor<TKey, TValue> visit, int batch = 256)
    {
        ArgumentNullException.ThrowIfNull(visit);
        using var batches = Batches(batch);
        var total = 0;
        while (batches.Read())
        {
            for (var i = 0; i < batches.Count; i++)
            {
                visit(in batches.Keys[i], batches.Values(i));
            }

            total += batches.Count;
        }

        return total;
    }

    /// <summary>User side: begins to read all entries in batches of about that many. To read again and again, keep it and restart it.</summary>
    public PerCpuBatches<TKey, TValue> Batches(int capacity = 256) => new(this, Stride, capacity, take: false);

    /// <summary>User side: begins to read and remove all entries in batches, by one call each where the kernel can (hash tables, 5.6).</summary>
    public PerCpuBatches<TKey, TValue> TakeBatches(int capacity = 256) => new(this, Stride, capacity, take: true);

    /// <summary>User side: sets the values of all CPUs of many entries, by one call where the kernel has batches (arrays 5.13, hash tables 5.6).</summary>
    /// <param name="keys">The keys.</param>
    /// <param name="perCpu">The values: those of the first key for all possible CPUs in order, then those of the second, and so on.</param>
    /// <exception cref="BpfException">The kernel refused; some of the entries may be in. E2BIG means that the map is full.</exception>
    public void SetAll(ReadOnlySpan<TKey> keys, ReadOnlySpan<TValue> perCpu)
    {
        var cpus = Storage.ValuesPerEntry;
        if (perCpu.Length != checked(keys.Length * cpus))
        {
            throw new ArgumentException($"There are {keys.Length} keys, {cpus} possible CPUs and {perCpu.Length} values.", nameof(perCpu));
        }

        var buffer = ArrayPool<byte>.Shared.Rent(checked(Stride * perCpu.Length));
        try
        {
            var bytes = buffer.AsSpan(0, Stride * perCpu.Length);
            for (var i = 0; i < perCpu.Length; i++)
            {
                MemoryMarshal.Write(bytes[(i * Stride)..], in perCpu[i]);
            }

            var status = Storage.WriteBatch(MemoryMarshal.AsBytes(keys), bytes, keys.Length, (ulong)UpdateMode.Any);
            if (status < 0)
            {
                throw BpfException.ForMap(this, "batch update", status);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static void Unpack(ReadOnlySpan<byte> strides, Span<TValue> perCpu)
    {
        for (var cpu = 0; cpu < perCpu.Length; cpu++)
        {
            perCpu[cpu] = MemoryMarshal.Read<TValue>(strides[(cpu * Stride)..]);
        }
    }
}

/// <summary>Takes an entry of a per-CPU map; the values are those of the possible CPUs in order, and are gone when it returns.</summary>
public delegate void PerCpuVisitor<TKey, TValue>(in TKey key, ReadOnlySpan<TValue> perCpu)
    where TKey : unmanaged
    where TValue : unmanaged;
