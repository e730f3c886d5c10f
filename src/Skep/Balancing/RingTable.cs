using System.Buffers;
using System.Numerics;

namespace Skep.Balancing;

/// <summary>Where a ring lies in the ring map.</summary>
/// <param name="Start">Its first row.</param>
/// <param name="Slots">Its slots; 0 when there is none.</param>
/// <param name="HasFormer">Whether as many rows follow that say who had each slot before; for services with a second chance.</param>
internal readonly record struct RingPlace(uint Start, int Slots, bool HasFormer = false);

/// <summary>The rings of all services in the ring map: gives them rows and writes them there, in mapped memory.</summary>
internal sealed class RingTable(BalancerMaps maps)
{
    private readonly RowPool _rows = new(maps.Ring.MaxEntries);
    private readonly RingBuilder _builder = new(maps.Backends.MaxEntries - 1);

    /// <summary>How large rings are made.</summary>
    public RingSizes Sizes { get; } = new(maps.RingSize, maps.Slots, maps.Ring.MaxEntries);

    /// <summary>Rows that rings have.</summary>
    public uint RowsInUse => maps.Ring.MaxEntries - _rows.Free;

    /// <summary>Takes over a ring that is in use; gives none when its rows are not there, because the table has become smaller or its slots wider.</summary>
    public RingPlace Adopt(RingPlace ring) => _rows.Adopt(ring.Start, RowsOf(ring)) ? ring : default;

    /// <summary>Rows for a ring; those of one largest ring stay free unless <paramref name="last"/> allows to take them too.</summary>
    public bool TryTake(int slots, bool last, bool hasFormer, out RingPlace ring)
    {
        var wanted = new RingPlace(0, slots, hasFormer);
        var taken = _rows.TryTake(RowsOf(wanted), last ? 0 : Sizes.Reserve, out var start);
        ring = taken ? wanted with { Start = start } : default;
        return taken;
    }

    /// <summary>Gives the rows of a ring back.</summary>
    public void Release(RingPlace ring)
    {
        if (ring.Slots > 0)
        {
            _rows.Release(ring.Start, RowsOf(ring));
        }
    }

    /// <summary>First row of what a ring's slots were before; 0 when nobody keeps it.</summary>
    public uint FormerStart(RingPlace ring) => ring.HasFormer ? ring.Start + maps.Slots.RowsOf(ring.Slots) : 0;

    /// <summary>Fills a ring of another size from one, or with nobody when there is none.</summary>
    public void Copy(RingPlace from, RingPlace to)
    {
        Stretch(from, to);
        if (to.HasFormer)
        {
            Stretch(from.HasFormer ? Former(from) : default, Former(to));
        }
    }

    /// <summary>Brings a ring to what its members ask for; returns how many slots changed hands.</summary>
    public int Write(RingPlace ring, ReadOnlySpan<RingMember> members, Span<int> quotas) => maps.Slots.IsWide
        ? Write(RingSlots.Wide(Rows(ring), ring.Slots), ring.HasFormer ? RingSlots.Wide(Rows(Former(ring)), ring.Slots) : [], members, quotas)
        : Write(RingSlots.Narrow(Rows(ring), ring.Slots), ring.HasFormer ? RingSlots.Narrow(Rows(Former(ring)), ring.Slots) : [], members, quotas);

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

    private RingPlace Former(RingPlace ring) => new(FormerStart(ring), ring.Slots);

    private uint RowsOf(RingPlace ring) => maps.Slots.RowsOf(ring.Slots) * (ring.HasFormer ? 2u : 1);

    private void Stretch(RingPlace from, RingPlace to)
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

    // Who had a slot is written before who gets it: a packet that finds the new owner finds the old one too. Those who are gone are nobody's former owner.
    private int Write<TSlot>(Span<TSlot> live, Span<TSlot> former, ReadOnlySpan<RingMember> members, Span<int> quotas)
        where TSlot : unmanaged, IBinaryInteger<TSlot>
    {
        if (former.IsEmpty)
        {
            return _builder.Apply(live, members, quotas);
        }

        var fresh = ArrayPool<TSlot>.Shared.Rent(live.Length);
        var made = fresh.AsSpan(0, live.Length);
        live.CopyTo(made);
        var moved = _builder.Apply(made, members, quotas);
        var known = new HashSet<uint>(members.Length);
        foreach (ref readonly var member in members)
        {
            known.Add(member.Id);
        }

        for (var i = 0; i < live.Length; i++)
        {
            var before = live[i] != made[i] && live[i] != TSlot.Zero ? live[i] : former[i];
            before = known.Contains(uint.CreateTruncating(before)) ? before : TSlot.Zero;
            if (former[i] != before)
            {
                former[i] = before;
            }

            if (live[i] != made[i])
            {
                Volatile.WriteBarrier();
                live[i] = made[i];
            }
        }

        ArrayPool<TSlot>.Shared.Return(fresh);
        return moved;
    }
}
