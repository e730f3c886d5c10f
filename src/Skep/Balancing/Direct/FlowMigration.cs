using System.Runtime.InteropServices;
using Skep.Bpf.Maps;
using Skep.Engine;

namespace Skep.Balancing;

/// <summary>
/// Carries flows over into a table with more or fewer sets, or from the layout of earlier versions. A set is chosen by the lowest bits of a flow's hash, of which a way keeps
/// those from <see cref="FlowSet.TagShift"/> on and its set tells the first: where a bit between them is not known, the flow goes into every set that may be its own, and
/// ages in those that are not. Established flows go first.
/// </summary>
internal sealed class FlowMigration(Global<ulong> exchange) : IMigratesEntries
{
    // Earlier, a flow was on probation by its place.
    private const int FormerProbation = 2;

    public unsafe MapCopyResult? Migrate(MapBefore before, BpfMap map, bool isInUse)
    {
        if (before.Shape.Kind != MapKind.Array || before.Shape.ValueSize != sizeof(FlowSet))
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

        return Migrate(old, sets, isFormer: !before.HasSameLayout);
    }

    public void Exchanging(ulong until) => exchange.Value = until;

    internal static MapCopyResult Migrate(ReadOnlySpan<FlowSet> old, Span<FlowSet> sets, bool isFormer = false)
    {
        var established = Migrate(old, sets, isFormer, FlowSet.IsEstablished);
        var others = Migrate(old, sets, isFormer, static way => way != 0 && !FlowSet.IsEstablished(way));
        return new(established.Copied + others.Copied, 0, established.NoRoom + others.NoRoom);
    }

    private static (long Copied, long NoRoom) Migrate(ReadOnlySpan<FlowSet> old, Span<FlowSet> sets, bool isFormer, Func<ulong, bool> isOne)
    {
        const uint tag = ~((1u << FlowSet.TagShift) - 1);
        var (oldMask, mask) = ((uint)old.Length - 1, (uint)sets.Length - 1);
        long copied = 0, noRoom = 0;
        for (var from = 0u; from <= oldMask; from++)
        {
            ReadOnlySpan<ulong> ways = old[(int)from];
            for (var i = 0; i < FlowSet.Ways; i++)
            {
                var way = Volatile.Read(in ways[i]);
                if (isFormer && way != 0)
                {
                    way = i < FormerProbation ? way | FlowSet.Probation : way & ~FlowSet.Probation;
                }

                if (!isOne(way))
                {
                    continue;
                }

                // The bits of the new set that are known: those of the old one, and those of the tag.
                var known = (oldMask | tag) & mask;
                var set = (from | ((uint)way & tag & ~oldMask)) & mask;
                var unknown = mask & ~known;
                var isIn = true;

                // All numbers that have bits among the unknown ones only.
                var bits = 0u;
                do
                {
                    isIn &= Add(sets[(int)(set | bits)..][..1], way);
                    bits = (bits - unknown) & unknown;
                }
                while (bits != 0);
                copied += isIn ? 1 : 0;
                noRoom += isIn ? 0 : 1;
            }
        }

        return (copied, noRoom);
    }

    // Programs may use the set meanwhile: only empty ways are filled.
    private static bool Add(Span<FlowSet> set, ulong way)
    {
        var ways = MemoryMarshal.Cast<FlowSet, ulong>(set);
        var established = 0;
        foreach (ref var there in ways)
        {
            var other = Volatile.Read(in there);
            if (FlowSet.Holds(other, way))
            {
                return true;
            }

            established += FlowSet.IsEstablished(other) ? 1 : 0;
        }

        if (established == FlowSet.MostEstablished && FlowSet.IsEstablished(way))
        {
            return false;
        }

        for (var i = 0u; i < FlowSet.Ways; i++)
        {
            if (Interlocked.CompareExchange(ref ways[(int)(FlowSet.PlaceOf(way) ^ i)], way, 0) == 0)
            {
                return true;
            }
        }

        return false;
    }
}
