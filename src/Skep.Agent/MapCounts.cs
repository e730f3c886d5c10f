using System.Buffers;
using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;

namespace Skep.Agent;

/// <summary>How many entries maps have. Counting walks a map, so a count is good for some seconds.</summary>
internal sealed class MapCounts(TimeProvider time)
{
    private const int Batch = 4096;
    private static readonly TimeSpan s_fresh = TimeSpan.FromSeconds(10);

    private readonly ConditionalWeakTable<BpfMap, Counted> _counts = [];

    /// <summary>Entries; -1 for arrays and rings, which have no such number.</summary>
    public long Of(BpfMap map)
    {
        if (map.Kind is MapKind.Array or MapKind.PerCpuArray or MapKind.RingBuffer)
        {
            return -1;
        }

        if (_counts.TryGetValue(map, out var counted) && time.GetElapsedTime(counted.At) < s_fresh)
        {
            return counted.Entries;
        }

        counted = new Counted(Count(map), time.GetTimestamp());
        _counts.AddOrUpdate(map, counted);
        return counted.Entries;
    }

    /// <summary>Memory in the kernel; 0 under the twin.</summary>
    public static long BytesOf(BpfMap map) => map.Storage is KernelMapStorage kernel ? (long)kernel.ReadMemory() : 0;

    private static long Count(BpfMap map)
    {
        var valueSize = map.Kind is MapKind.PerCpuHash or MapKind.LruPerCpuHash ? ((map.ValueSize + 7) & ~7) * map.Storage.ValuesPerEntry : map.ValueSize;
        var batch = Math.Max(64, Math.Min(Batch, (1 << 20) / (valueSize + map.KeySize)));
        var keys = ArrayPool<byte>.Shared.Rent(batch * map.KeySize);
        var values = ArrayPool<byte>.Shared.Rent(batch * valueSize);
        try
        {
            long total = 0;
            ulong cursor = 0;
            bool done;
            do
            {
                total += Math.Max(0, map.Storage.ReadBatch(ref cursor, keys.AsSpan(0, batch * map.KeySize), values.AsSpan(0, batch * valueSize), batch, out done));
            }
            while (!done);
            return total;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(keys);
            ArrayPool<byte>.Shared.Return(values);
        }
    }

    private sealed record Counted(long Entries, long At);
}
