using System.Buffers.Binary;
using Skep.Bpf.Maps;

namespace Skep.Fuzz;

/// <summary>
/// Compares what two engines left in the same maps. Per-CPU values are summed word by word, since the kernel runs on whichever CPU it likes.
/// Maps that hold times are compared by their keys.
/// </summary>
public static class MapComparison
{
    private static readonly HashSet<string> s_holdTimes = ["edge_sources"];

    /// <summary>One line per difference, none when all is the same.</summary>
    public static IReadOnlyList<string> Differences(IReadOnlyList<BpfMap> expected, IReadOnlyList<BpfMap> actual)
    {
        ArgumentNullException.ThrowIfNull(expected);
        ArgumentNullException.ThrowIfNull(actual);
        var differences = new List<string>();
        foreach (var (left, right) in expected.Zip(actual).Where(p => p.First.Kind != MapKind.RingBuffer))
        {
            var a = Contents(left);
            var b = Contents(right);
            foreach (var key in a.Keys.Union(b.Keys).Order(StringComparer.Ordinal))
            {
                var first = a.GetValueOrDefault(key, "absent");
                var second = b.GetValueOrDefault(key, "absent");
                if (first != second)
                {
                    differences.Add($"{left.Name}[{key}]: {first} and {second}");
                }
            }
        }

        return differences;
    }

    private static Dictionary<string, string> Contents(BpfMap map)
    {
        const int Batch = 256;
        var stride = (map.ValueSize + 7) & ~7;
        var perEntry = map.Storage.ValuesPerEntry;
        var valueSize = map.Kind is MapKind.PerCpuArray or MapKind.PerCpuHash or MapKind.LruPerCpuHash ? stride * perEntry : map.ValueSize;
        var keys = new byte[Batch * map.KeySize];
        var values = new byte[Batch * valueSize];
        var contents = new Dictionary<string, string>();
        var cursor = 0ul;
        bool done;
        do
        {
            var read = map.Storage.ReadBatch(ref cursor, keys, values, Batch, out done);
            if (read < 0)
            {
                throw new InvalidOperationException($"Reading map '{map.Name}' failed with {read}.");
            }

            for (var i = 0; i < read; i++)
            {
                var value = values.AsSpan(i * valueSize, valueSize);
                contents[Convert.ToHexStringLower(keys.AsSpan(i * map.KeySize, map.KeySize))] =
                    s_holdTimes.Contains(map.Name) ? "present"
                    : valueSize == map.ValueSize ? Convert.ToHexStringLower(value)
                    : Sum(value, stride, perEntry);
            }
        }
        while (!done);
        return contents;
    }

    private static string Sum(ReadOnlySpan<byte> values, int stride, int count)
    {
        var sums = new ulong[stride / 8];
        for (var i = 0; i < count; i++)
        {
            for (var word = 0; word < sums.Length; word++)
            {
                sums[word] += BinaryPrimitives.ReadUInt64LittleEndian(values[((i * stride) + (word * 8))..]);
            }
        }

        return string.Join(' ', sums);
    }
}
