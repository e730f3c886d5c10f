using System.Buffers;
using System.Numerics;

namespace Skep.Balancing;

/// <summary>
/// Brings rings to exact quotas with the fewest moves. A ring without members is filled by <see cref="Maglev"/>, the same on every host; later
/// changes take slots only from members that hold more than their quota, and from those that are gone, and give them to members that hold less.
/// Slots are written in place, one store each, so a ring can be changed while programs read it: at any moment each slot names its old
/// member or its new one. The same changes in the same order give the same ring on every host.
/// </summary>
/// <param name="largestId">Largest id of a member.</param>
internal sealed class RingBuilder(uint largestId)
{
    // Index of a member by its id, plus one; all zero between calls.
    private readonly int[] _memberOf = new int[largestId + 1];

    /// <summary>Changes a ring; returns how many slots changed their member, which no way to the same quotas undercuts. Ids in it that belong to no member are those of members that are gone; 0 means nobody.</summary>
    /// <param name="ring">The ring, live or not.</param>
    /// <param name="members">Members in an order that does not depend on the host, for example by address.</param>
    /// <param name="quotas">Takes the slots of each member.</param>
    public int Apply<TSlot>(Span<TSlot> ring, ReadOnlySpan<RingMember> members, Span<int> quotas)
        where TSlot : unmanaged, IBinaryInteger<TSlot>
    {
        var held = ArrayPool<int>.Shared.Rent(members.Length + 1);
        try
        {
            for (var i = 0; i < members.Length; i++)
            {
                _memberOf[members[i].Id] = i + 1;
            }

            return Apply(ring, members, quotas, held.AsSpan(0, members.Length + 1));
        }
        finally
        {
            foreach (ref readonly var member in members)
            {
                _memberOf[member.Id] = 0;
            }

            ArrayPool<int>.Shared.Return(held);
        }
    }

    /// <summary>
    /// Fills a ring of another size so that connections keep their members: a slot of the new ring gets the member of the old slot that its middle
    /// lies in. A ring that is a multiple of the old one gives every client the member it had.
    /// </summary>
    public static void Stretch<TSlot>(ReadOnlySpan<TSlot> from, Span<TSlot> to)
        where TSlot : unmanaged
    {
        for (var i = 0; i < to.Length; i++)
        {
            to[i] = from[(int)((((2L * i) + 1) * from.Length) / (2L * to.Length))];
        }
    }

    private int Apply<TSlot>(Span<TSlot> ring, ReadOnlySpan<RingMember> members, Span<int> quotas, Span<int> held)
        where TSlot : unmanaged, IBinaryInteger<TSlot>
    {
        Count<TSlot>(ring, held);
        if (held[0] == ring.Length && members.Length > 0)
        {
            return Fill(ring, members, quotas, held);
        }

        return Level(ring, members, quotas, held);
    }

    // Nobody of the old members is left: the ring is made as on a host that never had another. Beside the live one, whose slots would be empty meanwhile.
    private int Fill<TSlot>(Span<TSlot> ring, ReadOnlySpan<RingMember> members, Span<int> quotas, Span<int> held)
        where TSlot : unmanaged, IBinaryInteger<TSlot>
    {
        var fresh = ArrayPool<TSlot>.Shared.Rent(ring.Length);
        var made = fresh.AsSpan(0, ring.Length);
        made.Clear();
        if (Maglev.Fill(made, members))
        {
            Count<TSlot>(made, held);
        }

        Level(made, members, quotas, held);
        made.CopyTo(ring);
        ArrayPool<TSlot>.Shared.Return(fresh);
        return ring.Length;
    }

    // Slots per member; the first number is that of slots that belong to none.
    private void Count<TSlot>(ReadOnlySpan<TSlot> ring, Span<int> held)
        where TSlot : unmanaged, IBinaryInteger<TSlot>
    {
        held.Clear();
        var memberOf = _memberOf;
        foreach (var slot in ring)
        {
            held[memberOf[uint.CreateTruncating(slot)]]++;
        }
    }

    private int Level<TSlot>(Span<TSlot> ring, ReadOnlySpan<RingMember> members, Span<int> quotas, Span<int> held)
        where TSlot : unmanaged, IBinaryInteger<TSlot>
    {
        RingQuota.Write(members, held[1..], ring.Length, quotas);
        var surplus = held;
        var moves = held[0];
        for (var i = 0; i < members.Length; i++)
        {
            surplus[i + 1] -= quotas[i];
            moves += Math.Max(0, surplus[i + 1]);
        }

        if (quotas.IndexOfAnyExcept(0) < 0)
        {
            ring.Clear();
            return moves;
        }

        // A walk in long strides from a place that differs from change to change spreads what moves over all clients alike.
        var stride = Maglev.StepNear((int)(ring.Length * 0.6180339887), ring.Length);
        var at = (int)(((uint)moves * 2654435761u) % (uint)ring.Length);
        var heir = 0;
        for (var left = moves; left > 0; at = at + stride < ring.Length ? at + stride : at + stride - ring.Length)
        {
            var owner = _memberOf[uint.CreateTruncating(ring[at])];
            if (surplus[owner] <= 0)
            {
                continue;
            }

            do
            {
                heir = heir < members.Length ? heir + 1 : 1;
            }
            while (surplus[heir] >= 0);
            surplus[owner]--;
            surplus[heir]++;
            left--;
            ring[at] = TSlot.CreateTruncating(members[heir - 1].Id);
        }

        return moves;
    }
}
