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
        var perCpu = new TValue[Storage.ValuesPerEntry];
        var entryBytes = checked(Stride * perCpu.Length);
        return ReadBatches(batch, entryBytes, (keys, values) =>
        {
            for (var i = 0; i < keys.Length; i++)
            {
                Unpack(values.Slice(i * entryBytes, entryBytes), perCpu);
                visit(in keys[i], perCpu);
            }
        });
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
