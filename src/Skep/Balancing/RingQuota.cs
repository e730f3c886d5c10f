using System.Buffers;

namespace Skep.Balancing;

/// <summary>
/// How many slots of a ring each member gets: its exact share rounded by largest remainder, so that no member is a whole slot away from it.
/// </summary>
internal static class RingQuota
{
    /// <summary>Largest weight of a member.</summary>
    public const int MaxWeight = 1_000_000;

    /// <summary>Most members of a ring.</summary>
    public const int MaxMembers = 1 << 16;

    /// <summary>
    /// Writes the quotas. Of members with the same remainder those come first that hold more than their rounded-down share already, because then
    /// nothing moves, and among these the earlier ones.
    /// </summary>
    /// <param name="members">Members; a weight of 0 gets nothing.</param>
    /// <param name="held">Slots each member holds now.</param>
    /// <param name="slots">Slots of the ring.</param>
    /// <param name="quotas">Takes the quotas in the order of the members; all 0 when no member has weight, else they add up to <paramref name="slots"/>.</param>
    public static void Write(ReadOnlySpan<RingMember> members, ReadOnlySpan<int> held, int slots, Span<int> quotas)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(members.Length, MaxMembers);
        long total = 0;
        foreach (ref readonly var member in members)
        {
            total += member.Weight;
        }

        quotas.Clear();
        if (total == 0)
        {
            return;
        }

        var keys = ArrayPool<ulong>.Shared.Rent(members.Length);
        var left = slots;
        for (var i = 0; i < members.Length; i++)
        {
            // At most 2^20 times 2^24: far from overflow. Remainders are below the total of weights, 2^36 at most.
            var (whole, rest) = Math.DivRem((long)members[i].Weight * slots, total);
            quotas[i] = (int)whole;
            left -= (int)whole;
            keys[i] = ((ulong)rest << 18) | (held[i] > whole ? 1ul << 17 : 0) | (uint)(MaxMembers - i);
        }

        Array.Sort(keys, 0, members.Length);
        for (var i = 1; i <= left; i++)
        {
            quotas[MaxMembers - (int)(keys[members.Length - i] & 0x1FFFF)]++;
        }

        ArrayPool<ulong>.Shared.Return(keys);
    }
}
