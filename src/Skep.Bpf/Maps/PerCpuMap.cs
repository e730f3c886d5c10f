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

    /// <summary>User side: the values of all possible CPUs in order; false when the key is absent.</summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public bool TryGet(in TKey key, out TValue[] perCpu)
    {
        // The kernel lays the values out one after the other, each rounded up to eight bytes.
        var stride = (Unsafe.SizeOf<TValue>() + 7) & ~7;
        var count = Storage.ValuesPerEntry;
        var buffer = new byte[stride * count];
        var status = Storage.Read(Bytes(in key), buffer);
        if (status is not 0 and not -Errno.NoEntry)
        {
            throw BpfException.ForMap(this, "lookup", status);
        }

        perCpu = new TValue[status == 0 ? count : 0];
        for (var i = 0; i < perCpu.Length; i++)
        {
            perCpu[i] = MemoryMarshal.Read<TValue>(buffer.AsSpan(i * stride));
        }

        return status == 0;
    }

    /// <summary>User side: sets the same value on all CPUs.</summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public void Set(in TKey key, in TValue value)
    {
        var stride = (Unsafe.SizeOf<TValue>() + 7) & ~7;
        var buffer = new byte[stride * Storage.ValuesPerEntry];
        for (var i = 0; i < Storage.ValuesPerEntry; i++)
        {
            MemoryMarshal.Write(buffer.AsSpan(i * stride), in value);
        }

        var status = Storage.Write(Bytes(in key), buffer, (ulong)UpdateMode.Any);
        if (status < 0)
        {
            throw BpfException.ForMap(this, "update", status);
        }
    }

    /// <summary>
    /// User side: reads all entries in batches of at most <paramref name="batch"/>, calling <paramref name="visit"/> for each with the values
    /// of all possible CPUs; returns their number.
    /// </summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public int ReadAll(PerCpuVisitor<TKey, TValue> visit, int batch = 256)
    {
        ArgumentNullException.ThrowIfNull(visit);
        var stride = (Unsafe.SizeOf<TValue>() + 7) & ~7;
        var count = Storage.ValuesPerEntry;
        var keys = new TKey[batch];
        var values = new byte[batch * count * stride];
        var perCpu = new TValue[count];
        var total = 0;
        ulong cursor = 0;
        bool done;
        do
        {
            var read = Storage.ReadBatch(ref cursor, MemoryMarshal.AsBytes(keys.AsSpan()), values, batch, out done);
            if (read < 0)
            {
                throw BpfException.ForMap(this, "batch lookup", read);
            }

            for (var entry = 0; entry < read; entry++)
            {
                for (var cpu = 0; cpu < count; cpu++)
                {
                    perCpu[cpu] = MemoryMarshal.Read<TValue>(values.AsSpan(((entry * count) + cpu) * stride));
                }

                visit(in keys[entry], perCpu);
            }

            total += read;
        }
        while (!done);
        return total;
    }
}

/// <summary>Takes an entry of a per-CPU map; the values are those of the possible CPUs in order, and are gone when it returns.</summary>
public delegate void PerCpuVisitor<TKey, TValue>(in TKey key, ReadOnlySpan<TValue> perCpu)
    where TKey : unmanaged
    where TValue : unmanaged;
