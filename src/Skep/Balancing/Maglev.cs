using System.Numerics;
using System.Text;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>A member of a ring.</summary>
/// <param name="Id">What the ring holds in its slots; not 0.</param>
/// <param name="Address">Address; with the port it decides which slots the member prefers.</param>
/// <param name="Port">Port.</param>
/// <param name="Weight">Share relative to the other members, at least 1.</param>
public readonly record struct RingMember(ushort Id, IpAddress Address, ushort Port, int Weight);

/// <summary>
/// Maglev hashing (Eisenbud et al., NSDI'16, section 3.4) with weights: members take turns at their preferred free slots, as many per round as their
/// weight. The same members give the same ring on every host, and a change of members moves few slots besides the necessary ones.
/// </summary>
public static class Maglev
{
    /// <summary>Builds a ring of <paramref name="size"/> slots, each the id of a member, or 0 throughout when there is none.</summary>
    /// <param name="members">Members; their order does not matter.</param>
    /// <param name="size">A prime, so that every member's preference list visits each slot.</param>
    /// <exception cref="ArgumentException">The size is no prime.</exception>
    public static ushort[] Build(IReadOnlyList<RingMember> members, int size)
    {
        ArgumentNullException.ThrowIfNull(members);
        if (!IsPrime(size))
        {
            throw new ArgumentException($"The size of a ring must be prime; {size} is not. Next: {NextPrime(size)}.", nameof(size));
        }

        var ring = new ushort[size];
        var turns = members.Where(m => m.Weight > 0).OrderBy(m => m.Address).ThenBy(m => m.Port).Select(m => new Turn(m, size)).ToArray();
        if (turns.Length == 0)
        {
            return ring;
        }

        var largest = turns.Max(t => t.Weight);
        var free = size;
        while (true)
        {
            foreach (var turn in turns)
            {
                // Credit makes shares exact for any weights: a member of weight w takes w slots in as many rounds as the heaviest takes `largest`.
                turn.Credit += turn.Weight;
                if (turn.Credit < largest)
                {
                    continue;
                }

                turn.Credit -= largest;
                ring[turn.NextFree(ring)] = turn.Id;
                if (--free == 0)
                {
                    return ring;
                }
            }
        }
    }

    /// <summary>The smallest prime of at least <paramref name="size"/>.</summary>
    public static int NextPrime(int size)
    {
        while (!IsPrime(size))
        {
            size++;
        }

        return size;
    }

    private static bool IsPrime(int number)
    {
        if (number < 2 || (number > 2 && number % 2 == 0))
        {
            return false;
        }

        for (var divisor = 3; (long)divisor * divisor <= number; divisor += 2)
        {
            if (number % divisor == 0)
            {
                return false;
            }
        }

        return true;
    }

    private sealed class Turn
    {
        private readonly int _skip;
        private readonly int _size;
        private int _position;

        public Turn(RingMember member, int size)
        {
            var name = Encoding.ASCII.GetBytes($"[{member.Address}]:{member.Port}");
            _position = (int)(Hash(name, 0xCBF29CE484222325) % (ulong)size);
            _skip = (int)(Hash(name, 0x9AE16A3B2F90404F) % (ulong)(size - 1)) + 1;
            _size = size;
            Id = member.Id;
            Weight = member.Weight;
        }

        public ushort Id { get; }

        public int Weight { get; }

        public int Credit { get; set; }

        public int NextFree(ushort[] ring)
        {
            while (ring[_position] != 0)
            {
                _position += _skip;
                if (_position >= _size)
                {
                    _position -= _size;
                }
            }

            return _position;
        }

        // FNV-1a, then a finaliser so that names differing in the last digit are not neighbours.
        private static ulong Hash(ReadOnlySpan<byte> name, ulong seed)
        {
            foreach (var b in name)
            {
                seed = (seed ^ b) * 0x100000001B3;
            }

            seed = (seed ^ (seed >> 33)) * 0xFF51AFD7ED558CCD;
            return BitOperations.RotateLeft(seed ^ (seed >> 33), 17);
        }
    }
}
