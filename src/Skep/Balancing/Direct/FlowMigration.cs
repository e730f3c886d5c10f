using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Skep.Bpf.Maps;
using Skep.Engine;

namespace Skep.Balancing;

/// <summary>
/// Carries flows over into a table with more or fewer sets. A set is chosen by the lowest bits of a flow's hash, of which a way keeps those from
/// <see cref="FlowSet.TagShift"/> on and its place tells the first: where a bit between them is not known, the flow goes into every set that may be its own, and
/// ages in those that are not. Ways keep their places when there is room, so that flows that were seen again stay safe from new ones.
/// </summary>
internal sealed class FlowMigration : IMigratesEntries
{
    private const int FirstLasting = 2;

    public unsafe MapCopyResult? Migrate(MapBefore before, BpfMap map, bool isInUse)
    {
        if (!before.HasSameLayout || before.Shape.Kind != MapKind.Array)
        {
            return null;
        }

        // SAFETY: arrays of sets that programs and this process share hold them one after the other, as long as their storage lives.
        var first = 0u;
        var old = new ReadOnlySpan<FlowSet>(before.Storage.Find((byte*)&first), checked((int)before.Shape.MaxEntries));
        var sets = ((ArrayMap<FlowSet>)map).Entries;
        if (!isInUse)
        {
            sets.Clear();
        }

        return Migrate(old, sets);
    }

    internal static MapCopyResult Migrate(ReadOnlySpan<FlowSet> old, Span<FlowSet> sets)
    {
        var (oldMask, mask) = ((uint)old.Length - 1, (uint)sets.Length - 1);
        long copied = 0, noRoom = 0;
        for (var from = 0u; from <= oldMask; from++)
        {
            var ways = Ways(in old[(int)from]);
            for (var i = FlowSet.Ways - 1; i >= 0; i--)
            {
                var way = Volatile.Read(in ways[i]);
                if (way == 0)
                {
                    continue;
                }

                // The bits of the new place that are known: those of the old one, and those of the tag.
                var known = (oldMask | ~((1u << FlowSet.TagShift) - 1)) & mask;
                var place = ((from & oldMask) | ((uint)way & ~((1u << FlowSet.TagShift) - 1) & ~oldMask)) & mask;
                var unknown = mask & ~known;
                var isIn = true;

                // All numbers that have bits among the unknown ones only.
                var bits = 0u;
                do
                {
                    isIn &= Add(ref sets[(int)(place | bits)], i, way);
                    bits = (bits - unknown) & unknown;
                }
                while (bits != 0);
                copied += isIn ? 1 : 0;
                noRoom += isIn ? 0 : 1;
            }
        }

        return new(copied, 0, noRoom);
    }

    // Programs may use the set meanwhile: only empty ways are filled.
    private static bool Add(ref FlowSet set, int place, ulong way)
    {
        var ways = MemoryMarshal.CreateSpan(ref set.Way0, FlowSet.Ways);
        foreach (ref var there in ways)
        {
            if ((Volatile.Read(in there) ^ way) >> FlowSet.TagShift == 0)
            {
                return true;
            }
        }

        if (Interlocked.CompareExchange(ref ways[place], way, 0) == 0)
        {
            return true;
        }

        var (first, end) = place < FirstLasting ? (0, FirstLasting) : (FirstLasting, FlowSet.Ways);
        for (var i = first; i < end; i++)
        {
            if (Interlocked.CompareExchange(ref ways[i], way, 0) == 0)
            {
                return true;
            }
        }

        return false;
    }

    private static ReadOnlySpan<ulong> Ways(in FlowSet set) => MemoryMarshal.CreateReadOnlySpan(ref Unsafe.AsRef(in set.Way0), FlowSet.Ways);
}
