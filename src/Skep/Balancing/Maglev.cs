using System.Buffers;
using System.Numerics;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>A member of a ring.</summary>
/// <param name="Id">What the ring holds in its slots; not 0.</param>
/// <param name="Address">Address; with the port it decides which slots the member prefers.</param>
/// <param name="Port">Port.</param>
/// <param name="Weight">Share relative to the other members, 0 to 1,000,000; 0 takes no slot.</param>
public readonly record struct RingMember(uint Id, IpAddress Address, ushort Port, int Weight);

/// <summary>
/// Maglev hashing (Eisenbud et al., NSDI'16, section 3.4) with weights: members take turns at their preferred free slots, as many per round as their
/// weight. The same members give the same ring on every host. It makes the first ring of a service; changes go by <see cref="RingBuilder"/>.
/// </summary>
public static class Maglev
{
    /// <summary>Fills an empty ring with the ids of members; false, and it stays empty, when none has weight.</summary>
    /// <param name="ring">All zero.</param>
    /// <param name="members">Members in an order that does not depend on the host, for example by address.</param>
    public static bool Fill<TSlot>(Span<TSlot> ring, ReadOnlySpan<RingMember> members)
        where TSlot : unmanaged, IBinaryInteger<TSlot>
    {
        var rented = ArrayPool<Turn>.Shared.Rent(members.Length);
        var turns = rented.AsSpan(0, members.Length);
        long total = 0;
        var count = 0;
        foreach (ref readonly var member in members)
        {
            if (member.Weight > 0)
            {
                turns[count++] = Turn.Of(in member, ring.Length);
                total += member.Weight;
            }
        }

        if (count > 0)
        {
            // A round gives as many slots as there are members: by the mean weight, and what is left over counts in the next round.
            Fill(ring, turns[..count], (total + count - 1) / count);
        }

        ArrayPool<Turn>.Shared.Return(rented);
        return count > 0;
    }

    private static void Fill<TSlot>(Span<TSlot> ring, Span<Turn> turns, long price)
        where TSlot : unmanaged, IBinaryInteger<TSlot>
    {
        var free = ring.Length;
        while (true)
        {
            foreach (ref var turn in turns)
            {
                for (turn.Credit += turn.Weight; turn.Credit >= price; turn.Credit -= price)
                {
                    while (ring[turn.Position] != TSlot.Zero)
                    {
                        turn.Position += turn.Skip;
                        turn.Position -= turn.Position >= ring.Length ? ring.Length : 0;
                    }

                    ring[turn.Position] = TSlot.CreateTruncating(turn.Id);
                    if (--free == 0)
                    {
                        return;
                    }
                }
            }
        }
    }

    /// <summary>A step near the wanted one that visits every place of a ring: they have no divisor in common.</summary>
    internal static int StepNear(int wanted, int size)
    {
        while (Divisor(wanted, size) != 1)
        {
            wanted = wanted + 1 < size ? wanted + 1 : 1;
        }

        return wanted;
    }

    private static int Divisor(int a, int b)
    {
        while (b != 0)
        {
            (a, b) = (b, a % b);
        }

        return a;
    }

    private struct Turn
    {
        public uint Id;
        public int Position;
        public int Skip;
        public int Weight;
        public long Credit;

        public static Turn Of(in RingMember member, int size) => new()
        {
            Id = member.Id,
            Position = (int)(Hash(in member, 0x9E3779B97F4A7C15) % (ulong)size),
            Skip = StepNear((int)(Hash(in member, 0xC2B2AE3D27D4EB4F) % (ulong)Math.Max(1, size - 1)) + 1, size),
            Weight = member.Weight,
        };

        // Each step folds the upper half of a product over the lower one, so that addresses which differ in one bit are not neighbours.
        private static ulong Hash(in RingMember member, ulong seed) =>
            Mix(Mix(Mix(seed ^ member.Address.RawUpper) ^ member.Address.RawLower) ^ member.Port);

        private static ulong Mix(ulong value)
        {
            var upper = Math.BigMul(value ^ 0xA0761D6478BD642F, 0xE7037ED1A0B428DB, out var lower);
            return upper ^ lower;
        }
    }
}
