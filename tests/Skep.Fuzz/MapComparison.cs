using System.Buffers.Binary;
using System.Reflection;
using System.Runtime.InteropServices;
using Skep.Bpf.Maps;

namespace Skep.Fuzz;

/// <summary>
/// Compares what two engines left in the same maps. Per-CPU values are summed word by word, since the kernel runs on whichever CPU it likes.
/// Times differ between a kernel's clock and a twin's: fields that hold them, and values that are nothing else, are left out, as is what means nothing between packets.
/// </summary>
public static class MapComparison
{
    private static readonly HashSet<string> s_areTimes = ["edge_sources", "edge_histograms"];
    private static readonly HashSet<string> s_isScratch = ["edge_delivery"];
    private static readonly HashSet<string> s_timeFields = ["FirstSeen", "LastSeen", "PendingSince", "SmoothedRtt", "MinimumRtt", "HandshakeRtt", "HandshakeTime", "ResponseTime"];

    /// <summary>One line per difference, none when all is the same.</summary>
    public static IReadOnlyList<string> Differences(IReadOnlyList<BpfMap> expected, IReadOnlyList<BpfMap> actual)
    {
        ArgumentNullException.ThrowIfNull(expected);
        ArgumentNullException.ThrowIfNull(actual);
        var differences = new List<string>();
        foreach (var (left, right) in expected.Zip(actual).Where(p => !s_isScratch.Contains(p.First.Name)))
        {
            var a = left.Kind == MapKind.RingBuffer ? Records(left) : Contents(left);
            var b = left.Kind == MapKind.RingBuffer ? Records(right) : Contents(right);
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
        var times = TimesIn(map.ValueType);
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
                for (var cpu = 0; cpu < value.Length / stride; cpu++)
                {
                    Blank(value[(cpu * stride)..], times);
                }

                contents[Convert.ToHexStringLower(keys.AsSpan(i * map.KeySize, map.KeySize))] =
                    s_areTimes.Contains(map.Name) ? "present"
                    : valueSize == map.ValueSize ? Convert.ToHexStringLower(value)
                    : Sum(value, stride, perEntry);
            }
        }
        while (!done);
        return contents;
    }

    private static Dictionary<string, string> Records(BpfMap map)
    {
        var times = TimesIn(map.ValueType);
        var records = new Dictionary<string, string>();
        using var source = map.Storage.OpenRingBuffer();
        while (source.TryPeek(out var record))
        {
            var bytes = record.ToArray();
            Blank(bytes, times);
            records[$"record {records.Count:d8}"] = Convert.ToHexStringLower(bytes);
            source.Release();
        }

        return records;
    }

    private static void Blank(Span<byte> value, List<(int Offset, int Size)> times)
    {
        foreach (var (offset, size) in times)
        {
            value.Slice(offset, size).Clear();
        }
    }

    private static List<(int Offset, int Size)> TimesIn(Type type)
    {
        var times = new List<(int Offset, int Size)>();
        if (type.IsPrimitive || type.IsEnum)
        {
            return times;
        }

        foreach (var field in type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic))
        {
            var offset = (int)Marshal.OffsetOf(type, field.Name);
            if (s_timeFields.Contains(field.Name))
            {
                times.Add((offset, Marshal.SizeOf(field.FieldType)));
            }
            else
            {
                times.AddRange(TimesIn(field.FieldType).Select(t => (t.Offset + offset, t.Size)));
            }
        }

        return times;
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
