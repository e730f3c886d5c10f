using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// Kernel half: which backend a flow was given. A plain array of sets: no hash map, no lock, no call on the way, 8 bytes a flow. Two flows are taken for one
/// when 47 bits of their hashes agree besides the set, about once in 10^13 lookups; the backend's owner is compared after that.
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

    /// <summary>
    /// Backend of a flow that was seen again, and since the last sweep of its set; 0 for every other. A comparison for each way: six without branches are 3 to 8 ns
    /// slower, because the processor goes on with the way it expects before the line is there.
    /// </summary>
    internal uint FindEstablished(ulong hash)
    {
        ref var set = ref _sets.Find((uint)hash & _mask);
        if (Unsafe.IsNullRef(ref set))
        {
            return 0;
        }

        var way = set.Way2;
        if (Holds(way, hash))
        {
            return BackendOf(way);
        }

        way = set.Way3;
        if (Holds(way, hash))
        {
            return BackendOf(way);
        }

        way = set.Way4;
        if (Holds(way, hash))
        {
            return BackendOf(way);
        }

        way = set.Way5;
        if (Holds(way, hash))
        {
            return BackendOf(way);
        }

        way = set.Way6;
        if (Holds(way, hash))
        {
            return BackendOf(way);
        }

        way = set.Way7;
        return Holds(way, hash) ? BackendOf(way) : 0;

        static uint BackendOf(ulong way) => (way & FlowSet.Seen) != 0 ? (uint)way & 0xFFFF : 0;
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

        var way = IfHolds(set.Way2, hash) | IfHolds(set.Way3, hash) | IfHolds(set.Way4, hash)
            | IfHolds(set.Way5, hash) | IfHolds(set.Way6, hash) | IfHolds(set.Way7, hash);
        if (way != 0)
        {
            if ((way & FlowSet.Seen) == 0)
            {
                Touch(ref set, hash);
            }

            return (uint)way & 0xFFFF;
        }

        var isFirst = Holds(set.Way0, hash);
        way = isFirst ? set.Way0 : set.Way1;
        if (!Holds(way, hash))
        {
            return 0;
        }

        if (again && (way & FlowSet.Seen) == 0)
        {
            Settle(hash, isFirst, way, confirms);
        }

        return (uint)way & 0xFFFF;
    }

    private void Settle(ulong hash, bool isFirst, ulong way, bool confirms)
    {
        var place = isFirst ? 1u : 0;
        if (_signals is null)
        {
            Promote(hash, place);
        }
        else if (Promote(hash, place) != 0 && confirms)
        {
            _signals.Confirmed((uint)way & 0xFFFF);
        }
    }

    /// <summary>Enters a flow on probation; the flow that was on probation longest makes room.</summary>
    internal void Add(ulong hash, uint backend)
    {
        ref var set = ref _sets.Find((uint)hash & _mask);
        if (!Unsafe.IsNullRef(ref set))
        {
            set.Way1 = set.Way0;
            set.Way0 = (hash & ~((1UL << FlowSet.TagShift) - 1)) | backend;
        }
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

        var found = 0UL;
        for (var i = 0; i < FlowSet.Ways; i++)
        {
            ref var way = ref Unsafe.Add(ref set.Way0, i);
            if (Holds(way, hash))
            {
                found = way;
                way = 0;
            }
        }

        if (demote != 0 && found != 0)
        {
            set.Way1 = set.Way0;
            set.Way0 = found | FlowSet.Seen;
        }

        return 0;
    }

    /// <summary>
    /// Takes a flow out of probation, into the first way whose flow was not seen since the last sweep. When all were, the sweep begins anew and the flow stays
    /// on probation until its next packet: by then the flows that are alive have shown it.
    /// </summary>
    [GlobalFunction]
    private int Promote(ulong hash, uint isFirst)
    {
        ref var set = ref _sets.Find((uint)hash & _mask);
        if (Unsafe.IsNullRef(ref set))
        {
            return 0;
        }

        var entry = isFirst != 0 ? set.Way0 : set.Way1;
        for (var i = 2; i < FlowSet.Ways; i++)
        {
            ref var way = ref Unsafe.Add(ref set.Way0, i);
            if ((way & FlowSet.Seen) == 0)
            {
                way = entry | FlowSet.Seen;
                if (isFirst != 0)
                {
                    set.Way0 = 0;
                }
                else
                {
                    set.Way1 = 0;
                }

                return 1;
            }
        }

        for (var i = 2; i < FlowSet.Ways; i++)
        {
            ref var way = ref Unsafe.Add(ref set.Way0, i);
            way &= ~FlowSet.Seen;
        }

        return 0;
    }

    private static bool Holds(ulong way, ulong hash) => (way ^ hash) >> FlowSet.TagShift == 0;

    // Without a branch: the verifier would walk what follows once more for each way.
    private static ulong IfHolds(ulong way, ulong hash) => way & (ulong)((long)(((way ^ hash) >> FlowSet.TagShift) - 1) >> 63);

    // Written once between two sweeps, not with every packet: the line stays shared between CPUs.
    private static void Touch(ref FlowSet set, ulong hash)
    {
        for (var i = 2; i < FlowSet.Ways; i++)
        {
            ref var way = ref Unsafe.Add(ref set.Way0, i);
            if (Holds(way, hash))
            {
                way |= FlowSet.Seen;
            }
        }
    }
}
