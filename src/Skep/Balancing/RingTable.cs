namespace Skep.Balancing;

/// <summary>Where a ring lies in the ring map.</summary>
/// <param name="Start">Its first row.</param>
/// <param name="Slots">Its slots; 0 when there is none.</param>
internal readonly record struct RingPlace(uint Start, int Slots);

/// <summary>The rings of all services in the ring map: gives them rows and writes them there, in mapped memory.</summary>
internal sealed class RingTable(BalancerMaps maps)
{
    private readonly RowPool _rows = new(maps.Ring.MaxEntries);
    private readonly RingBuilder _builder = new(maps.Backends.MaxEntries - 1);

    /// <summary>How large rings are made.</summary>
    public RingSizes Sizes { get; } = new(maps.RingSize, maps.Slots, maps.Ring.MaxEntries);

    /// <summary>Takes over a ring that is in use.</summary>
    public void Adopt(RingPlace ring) => _rows.Adopt(ring.Start, maps.Slots.RowsOf(ring.Slots));

    /// <summary>Rows for a ring; those of one largest ring stay free unless <paramref name="last"/> allows to take them too.</summary>
    public bool TryTake(int slots, bool last, out RingPlace ring)
    {
        var taken = _rows.TryTake(maps.Slots.RowsOf(slots), last ? 0 : Sizes.Reserve, out var start);
        ring = taken ? new RingPlace(start, slots) : default;
        return taken;
    }

    /// <summary>Gives the rows of a ring back.</summary>
    public void Release(RingPlace ring)
    {
        if (ring.Slots > 0)
        {
            _rows.Release(ring.Start, maps.Slots.RowsOf(ring.Slots));
        }
    }

    /// <summary>Fills a ring of another size from one, or with nobody when there is none.</summary>
    public void Copy(RingPlace from, RingPlace to)
    {
        if (from.Slots == 0)
        {
            Rows(to).Clear();
        }
        else if (maps.Slots.IsWide)
        {
            RingBuilder.Stretch<uint>(RingSlots.Wide(Rows(from), from.Slots), RingSlots.Wide(Rows(to), to.Slots));
        }
        else
        {
            RingBuilder.Stretch<ushort>(RingSlots.Narrow(Rows(from), from.Slots), RingSlots.Narrow(Rows(to), to.Slots));
        }
    }

    /// <summary>Brings a ring to what its members ask for; returns how many slots changed hands.</summary>
    public int Write(RingPlace ring, ReadOnlySpan<RingMember> members, Span<int> quotas) => maps.Slots.IsWide
        ? _builder.Apply(RingSlots.Wide(Rows(ring), ring.Slots), members, quotas)
        : _builder.Apply(RingSlots.Narrow(Rows(ring), ring.Slots), members, quotas);

    /// <summary>Slots by the id that has them.</summary>
    public IReadOnlyDictionary<uint, int> CountsOf(RingPlace ring)
    {
        var ids = new uint[ring.Slots];
        for (var i = 0; i < ids.Length; i++)
        {
            ids[i] = IdAt(ring, i);
        }

        return ids.CountBy(id => id).ToDictionary();
    }

    /// <summary>Who has a slot; 0 for nobody.</summary>
    public uint IdAt(RingPlace ring, int slot) =>
        maps.Slots.IsWide ? RingSlots.Wide(Rows(ring), ring.Slots)[slot] : RingSlots.Narrow(Rows(ring), ring.Slots)[slot];

    private Span<ulong> Rows(RingPlace ring) => maps.Ring.Entries.Slice((int)ring.Start, (int)maps.Slots.RowsOf(ring.Slots));
}
