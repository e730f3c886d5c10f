using System.Buffers;
using System.Runtime.InteropServices;

namespace Skep.Bpf.Maps;

public abstract unsafe partial class KeyedMap<TKey, TValue>
{
    /// <summary>Takes the keys and values of one batch, which are gone when it returns.</summary>
    private protected delegate void BatchVisitor(ReadOnlySpan<TKey> keys, ReadOnlySpan<byte> values);

    /// <summary>Reads all entries in batches of about that many, each value of <paramref name="valueBytes"/> bytes; returns their number.</summary>
    private protected int ReadBatches(int batch, int valueBytes, BatchVisitor visit)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(batch);
        var total = 0;
        ulong cursor = 0;
        for (var size = (int)Math.Min((uint)batch, MaxEntries); ; size = (int)Math.Min(size * 4u, MaxEntries))
        {
            var keys = ArrayPool<TKey>.Shared.Rent(size);
            var values = ArrayPool<byte>.Shared.Rent(checked(size * valueBytes));
            try
            {
                int read;
                bool done;
                do
                {
                    read = Storage.ReadBatch(
                        ref cursor, MemoryMarshal.AsBytes(keys.AsSpan(0, size)), values.AsSpan(0, size * valueBytes), size, out done);
                    if (read > 0)
                    {
                        visit(keys.AsSpan(0, read), values.AsSpan(0, read * valueBytes));
                        total += read;
                    }
                }
                while (!done);

                if (read >= 0)
                {
                    return total;
                }

                // The kernel gives a bucket of a hash table whole or not at all; the cursor stays before it, and more room gets it.
                if (read != -Errno.NoSpace || size == MaxEntries)
                {
                    throw BpfException.ForMap(this, "batch lookup", read);
                }
            }
            finally
            {
                ArrayPool<TKey>.Shared.Return(keys);
                ArrayPool<byte>.Shared.Return(values);
            }
        }
    }
}
