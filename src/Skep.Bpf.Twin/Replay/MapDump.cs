using System.Text.Json.Nodes;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Twin.Replay;

/// <summary>Contents of maps as JSON, whichever engine holds them.</summary>
public static class MapDump
{
    /// <summary>
    /// The map as <c>{name, kind, maxEntries, entries: [{key, value}]}</c>; per-CPU kinds have <c>values</c>, one per CPU. Entries are ordered by
    /// the bytes of their key, array entries by index, where those that are all zero are left out. Ring buffers give the records waiting
    /// under <c>records</c>, which takes them out.
    /// </summary>
    /// <param name="map">A map with storage.</param>
    /// <param name="limit">Most entries to give; when there are more, <c>truncated</c> is true.</param>
    /// <exception cref="BpfException">The kernel refused to read the map.</exception>
    public static JsonObject ToJson(BpfMap map, int limit = 100_000)
    {
        ArgumentNullException.ThrowIfNull(map);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(limit);
        var dump = new JsonObject
        {
            ["name"] = map.Name,
            ["kind"] = map.Kind.ToString(),
            ["maxEntries"] = map.MaxEntries,
        };
        if (map.Kind == MapKind.RingBuffer)
        {
            dump["records"] = Records(map, limit);
            return dump;
        }

        var entries = ReadAll(map, limit, out var truncated);
        if (map.ElementsOfValue > 1)
        {
            entries = [.. entries.SelectMany(e => Elements(map, e.Value))];
            truncated = entries.Count > limit;
            entries = [.. entries.Take(limit)];
        }

        dump["entries"] = new JsonArray([.. entries.Select(e => (JsonNode)Entry(map, e))]);
        if (truncated)
        {
            dump["truncated"] = true;
        }

        return dump;
    }

    /// <summary>All entries: key and value bytes, values of all CPUs one after the other (each rounded up to eight bytes); ordered as in <see cref="ToJson"/>.</summary>
    internal static List<(byte[] Key, byte[] Value)> ReadAll(BpfMap map, int limit, out bool truncated)
    {
        var isArray = map.Kind is MapKind.Array or MapKind.PerCpuArray;
        var entries = new List<(byte[] Key, byte[] Value)>();
        var valueSize = ValueSize(map);
        // Never so few that a crowded bucket of a hash table, which the kernel gives whole, would not fit.
        var batch = Math.Clamp((1 << 20) / (valueSize + map.KeySize), 64, 1024);
        batch = map.ElementsOfValue > 1 ? 1 : batch;
        var keys = new byte[batch * map.KeySize];
        var values = new byte[batch * valueSize];
        var cursor = 0ul;
        bool done;
        truncated = false;
        do
        {
            var read = map.Storage.ReadBatch(ref cursor, keys, values, batch, out done);
            if (read < 0)
            {
                throw BpfException.ForMap(map, "batch lookup", read);
            }

            for (var i = 0; i < read; i++)
            {
                var value = values.AsSpan(i * valueSize, valueSize);
                if (isArray && value.IndexOfAnyExcept((byte)0) < 0)
                {
                    continue;
                }

                if (entries.Count == limit)
                {
                    truncated = true;
                    done = true;
                    break;
                }

                entries.Add((keys.AsSpan(i * map.KeySize, map.KeySize).ToArray(), value.ToArray()));
            }
        }
        while (!done);

        if (!isArray)
        {
            entries.Sort(static (a, b) => a.Key.AsSpan().SequenceCompareTo(b.Key));
        }

        return entries;
    }

    // Those that are not zero, each by its number.
    private static IEnumerable<(byte[] Key, byte[] Value)> Elements(BpfMap map, byte[] value) =>
        value.Chunk(map.ValueSize / (int)map.ElementsOfValue).Select((bytes, number) => (BitConverter.GetBytes(number), bytes)).Where(e => e.bytes.AsSpan().ContainsAnyExcept((byte)0));

    private static int ValueSize(BpfMap map) => IsPerCpu(map) ? Stride(map) * map.Storage.ValuesPerEntry : map.ValueSize;

    private static bool IsPerCpu(BpfMap map) => map.Kind is MapKind.PerCpuArray or MapKind.PerCpuHash or MapKind.LruPerCpuHash;

    private static int Stride(BpfMap map) => (map.ValueSize + 7) & ~7;

    private static JsonObject Entry(BpfMap map, (byte[] Key, byte[] Value) entry)
    {
        var row = new JsonObject { ["key"] = StructDump.ToJson(map.KeyType!, entry.Key) };
        if (!IsPerCpu(map))
        {
            row["value"] = StructDump.ToJson(map.ValueType, entry.Value);
            return row;
        }

        var values = new JsonArray();
        for (var offset = 0; offset < entry.Value.Length; offset += Stride(map))
        {
            values.Add(StructDump.ToJson(map.ValueType, entry.Value.AsSpan(offset)));
        }

        row["values"] = values;
        return row;
    }

    private static JsonArray Records(BpfMap map, int limit)
    {
        var records = new JsonArray();
        var size = StructDump.SizeOf(map.ValueType);
        using var source = map.Storage.OpenRingBuffer();
        while (records.Count < limit && source.TryPeek(out var record))
        {
            records.Add(record.Length == size ? StructDump.ToJson(map.ValueType, record) : Convert.ToHexStringLower(record));
            source.Release();
        }

        return records;
    }
}
