namespace Skep.Balancing;

/// <summary>
/// Writes rings into the map: each service has two, one in use and one to be written. Remembers what it wrote, so that only rows that differ cost a call.
/// </summary>
internal sealed class RingWriter(BalancerMaps maps)
{
    private readonly Dictionary<uint, ulong[]> _written = [];

    /// <summary>First row of a ring: <paramref name="half"/> is 0 or 1.</summary>
    public uint StartOf(uint service, uint half) => ((service * 2) + half) * (uint)maps.RowsPerRing;

    /// <summary>Which half begins at <paramref name="ringStart"/>.</summary>
    public uint HalfOf(uint service, uint ringStart) => ringStart == StartOf(service, 0) ? 0u : 1u;

    /// <summary>Whether the ring at that place is known to be the same.</summary>
    public bool Holds(uint start, ReadOnlySpan<ushort> ring) => _written.TryGetValue(start, out var rows) && rows.AsSpan().SequenceEqual(Pack(ring));

    /// <summary>Writes a ring. 0 or a negative errno.</summary>
    public int Write(uint start, ReadOnlySpan<ushort> ring)
    {
        var rows = Pack(ring);
        _written.Remove(start, out var before);
        for (var i = 0; i < rows.Length; i++)
        {
            if (before is not null && before[i] == rows[i])
            {
                continue;
            }

            var status = maps.Ring.TrySet(start + (uint)i, in rows[i]);
            if (status < 0)
            {
                return status;
            }
        }

        _written[start] = rows;
        return 0;
    }

    private ulong[] Pack(ReadOnlySpan<ushort> ring)
    {
        var rows = new ulong[maps.RowsPerRing];
        for (var i = 0; i < ring.Length; i++)
        {
            rows[i / BalancerMaps.SlotsPerRow] |= (ulong)ring[i] << (i % BalancerMaps.SlotsPerRow * 16);
        }

        return rows;
    }
}
