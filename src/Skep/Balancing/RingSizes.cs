namespace Skep.Balancing;

/// <summary>
/// How large the ring of a service is: so many slots per member that its share comes within a tenth of a percent of its target, as long as the rings
/// of all services fit the rows there are; else the number is halved for all until they do. Sizes are halves of the largest, halves of that and so on,
/// because a ring that grows to a multiple of itself keeps every client where it is.
/// </summary>
internal sealed class RingSizes
{
    private const int BestPerMember = 1024;
    private const int LeastPerMember = 8;
    private const int PreferredLeast = 4096;
    private const int Smallest = 256;

    private readonly int[] _sizes;
    private readonly RingSlots _slots;
    private readonly uint _rows;

    /// <summary>Sizes up to <paramref name="largest"/>, in <paramref name="rows"/> rows.</summary>
    public RingSizes(int largest, RingSlots slots, uint rows)
    {
        var sizes = new List<int> { largest };
        while (sizes[^1] % 2 == 0 && sizes[^1] / 2 >= Smallest)
        {
            sizes.Add(sizes[^1] / 2);
        }

        sizes.Reverse();
        _sizes = [.. sizes];
        _slots = slots;
        _rows = rows;
    }

    /// <summary>Rows of the largest ring: kept free, so that a ring can always be moved to another size.</summary>
    public uint Reserve => _slots.RowsOf(_sizes[^1]);

    /// <summary>Slots per member that new rings are made for.</summary>
    public int PerMember { get; private set; } = BestPerMember;

    /// <summary>The size for a service of that many members at present.</summary>
    public int For(int members) => For(members, PerMember);

    /// <summary>Chooses the most slots per member at which the rings of all services fit; false when they do not fit at the least.</summary>
    public bool Fit(IReadOnlyCollection<int> members)
    {
        for (PerMember = BestPerMember; ; PerMember /= 2)
        {
            var per = PerMember;
            if (members.Sum(m => (long)_slots.RowsOf(For(m, per))) + Reserve <= _rows)
            {
                return true;
            }

            if (PerMember == LeastPerMember)
            {
                return false;
            }
        }
    }

    private int For(int members, int perMember)
    {
        // Few members need few slots to be exact, but a split of one per mille wants some thousands.
        var wanted = Math.Max((long)members * perMember, perMember == BestPerMember ? PreferredLeast : 0);
        foreach (var size in _sizes)
        {
            if (size >= wanted)
            {
                return size;
            }
        }

        return _sizes[^1];
    }
}
