using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// Kernel half: which backend a flow was given. A plain array of sets: no hash map, no lock, no call on the way, 8 bytes a flow. Two flows are taken for one
/// when 46 bits of their hashes agree besides the set, about once in 10^13 lookups; the backend's owner is compared after that.
/// </summary>
internal sealed class FlowCache(DirectMaps maps, ulong seed, DirectSignals? signals = null)
{
    private readonly DirectSignals? _signals = signals;

    // The key of the hash is known to this host only: nobody can choose flows that share a set.
    private readonly ArrayMap<FlowSet> _sets = maps.Flows;
    private readonly uint _mask = maps.Flows.MaxEntries - 1;
    private readonly ulong _seedLower = seed;
    private readonly ulong _seedUpper = (seed * 0xD6E8FEB86659FD93) ^ (seed >> 29);

    /// <summary>Number of a flow of a service: sets come from its lowest bits, tags from its upper ones.</summary>
    internal ulong HashOf(in IpAddress client, uint rawPorts, uint service) =>
        FlowHash.Of(client.RawUpper, client.RawLower, rawPorts | ((ulong)service << 32), _seedUpper, _seedLower);

    /// <summary>Backend of an established flow that was seen since it was swept; 0 for every other.</summary>
    internal uint FindEstablished(ulong hash)
    {
        ref var set = ref _sets.Find((uint)hash & _mask);
        if (Unsafe.IsNullRef(ref set))
        {
            return 0;
        }

        // What remains of the right way is its backend.
        var entry = FlowSet.Entry(hash, FlowSet.Seen);
        var place = FlowSet.PlaceOf(hash);
        for (var i = 0u; i < FlowSet.Ways; i++)
        {
            var backend = set.At(place ^ i) ^ entry;
            if (backend <= ushort.MaxValue)
            {
                return (uint)backend;
            }
        }

        return 0;
    }

    /// <summary>
    /// Backend of a flow, 0 when it is not known. With <paramref name="again"/> the flow leaves probation, and with <paramref name="confirms"/> that
    /// speaks for its backend. For the first packets of a flow and after a sweep.
    /// </summary>
    internal uint Find(ulong hash, bool again, bool confirms = false)
    {
        ref var set = ref _sets.Find((uint)hash & _mask);
        if (Unsafe.IsNullRef(ref set))
        {
            return 0;
        }

        // Without a branch: the verifier would walk what follows once more for each way.
        var way = IfHolds(set.At(0), hash) | IfHolds(set.At(1), hash) | IfHolds(set.At(2), hash) | IfHolds(set.At(3), hash)
            | IfHolds(set.At(4), hash) | IfHolds(set.At(5), hash) | IfHolds(set.At(6), hash) | IfHolds(set.At(7), hash);
        if (way == 0)
        {
            return 0;
        }

        if ((way & FlowSet.Seen) == 0 && (again || FlowSet.IsEstablished(way)))
        {
            if (_signals is null)
            {
                Touch(hash);
            }
            else if (Touch(hash) != 0 && confirms)
            {
                _signals.Confirmed((uint)way & 0xFFFF);
            }
        }

        return (uint)way & 0xFFFF;
    }

    /// <summary>Enters a flow on probation.</summary>
    internal void Add(ulong hash, uint backend)
    {
        ref var set = ref _sets.Find((uint)hash & _mask);
        if (Unsafe.IsNullRef(ref set))
        {
            return;
        }

        ref var way = ref set.At(FlowSet.PlaceOf(hash));
        if (way == 0)
        {
            way = FlowSet.Entry(hash, FlowSet.Probation) | backend;
        }
        else
        {
            Squeeze(hash, backend);
        }
    }

    /// <summary>
    /// Enters a flow whose way is taken: in another one that is empty or whose flow ended, or else in the place of one on probation, every other time: of flows that take turns at
    /// one place none would be there any more when its second packet comes.
    /// </summary>
    [GlobalFunction]
    private int Squeeze(ulong hash, uint backend)
    {
        ref var set = ref _sets.Find((uint)hash & _mask);
        if (Unsafe.IsNullRef(ref set))
        {
            return 0;
        }

        const ulong ended = FlowSet.Seen | FlowSet.Probation;
        var entry = FlowSet.Entry(hash, FlowSet.Probation) | backend;
        var place = FlowSet.PlaceOf(hash);

        // Where established flows have all of them, which happens when two CPUs establish the last two at once, one goes.
        var spare = place;
        for (var i = 0u; i < FlowSet.Ways; i++)
        {
            var at = place ^ i;
            ref var way = ref set.At(at);
            if (way == 0 || (way & ended) == ended)
            {
                way = entry;
                return 0;
            }

            // Without a branch, as in Find.
            spare ^= (spare ^ at) & (0 - ((uint)(way >> 17) & 1));
        }

        // Half of the flows in one tick of the kernel, the others in the next.
        if ((((uint)Helper.Jiffies64() ^ (uint)(hash >> 32)) & 1) == 0)
        {
            set.At(spare) = entry;
        }

        return 0;
    }

    /// <summary>
    /// Forgets a flow. With <paramref name="demote"/> not 0 it goes back on probation for good, because a few packets may still come. Happens once a
    /// connection: a function of its own.
    /// </summary>
    [GlobalFunction]
    internal int Remove(ulong hash, uint demote)
    {
        ref var set = ref _sets.Find((uint)hash & _mask);
        if (Unsafe.IsNullRef(ref set))
        {
            return 0;
        }

        const ulong ended = FlowSet.Seen | FlowSet.Probation;
        var kept = demote != 0 ? ulong.MaxValue : 0;
        for (var i = 0u; i < FlowSet.Ways; i++)
        {
            ref var way = ref set.At(i);
            if (FlowSet.Holds(way, hash))
            {
                way = (way | ended) & kept;
            }
        }

        return 0;
    }

    /// <summary>
    /// Marks a flow as seen, and takes it out of probation; 1 when it did. Where as many flows are established as may be, one makes room that was not seen since it was
    /// swept; when all were, one of them is swept, and the flow stays on probation until its next packet: by then those that are alive have shown it. Written once
    /// after a sweep, not with every packet: the line stays shared between CPUs.
    /// </summary>
    [GlobalFunction]
    private int Touch(ulong hash)
    {
        ref var set = ref _sets.Find((uint)hash & _mask);
        if (Unsafe.IsNullRef(ref set))
        {
            return 0;
        }

        // Without a branch, as in Find; and without a mask, of which the verifier makes one.
        var own = 0u;
        for (var i = 1u; i < FlowSet.Ways; i++)
        {
            own |= i * (uint)((((set.At(i) ^ hash) >> FlowSet.TagShift) - 1) >> 63);
        }

        ref var way = ref set.At(own);
        var entry = way;
        if (!FlowSet.Holds(entry, hash))
        {
            return 0;
        }

        if ((entry & FlowSet.Probation) == 0)
        {
            way = entry | FlowSet.Seen;
            return 0;
        }

        // One that is empty or was not seen makes room, if there is none.
        var idle = 0u;
        for (var i = 1u; i < FlowSet.Ways; i++)
        {
            var other = (uint)set.At(own ^ i);
            if ((other & FlowSet.Probation) != 0)
            {
                way = (entry | FlowSet.Seen) & ~FlowSet.Probation;
                return 1;
            }

            // Without a branch, and without a mask again.
            idle ^= (idle ^ (i | FlowSet.Ways)) * (((other >> 16) & 1) ^ 1);
        }

        if (idle == 0)
        {
            set.At(Helper.GetPrandomU32()) &= ~FlowSet.Seen;
            return 0;
        }

        set.At(own ^ idle) = 0;
        way = (entry | FlowSet.Seen) & ~FlowSet.Probation;
        return 1;
    }

    // All bits of a way that holds the flow, else none.
    private static ulong IfHolds(ulong way, ulong hash) => way & (ulong)((long)(((way ^ hash) >> FlowSet.TagShift) - 1) >> 63);
}
