using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;

namespace Skep.Balancing;

/// <summary>Kernel half: who has a slot of a ring.</summary>
internal sealed class RingReader(BalancerMaps maps)
{
    private readonly ArrayMap<ulong> _ring = maps.Ring;
    private readonly bool _hasWideSlots = maps.Slots.IsWide;

    /// <summary>Id of the backend; 0 when nobody has the slot.</summary>
    internal uint IdAt(in ServiceEntry service, uint slot)
    {
        ref var row = ref _ring.Find(service.RingStart + (_hasWideSlots ? slot >> 1 : slot >> 2));
        if (Unsafe.IsNullRef(ref row))
        {
            return 0;
        }

        return _hasWideSlots ? (uint)(row >> (int)((slot & 1) << 5)) : (uint)(row >> (int)((slot & 3) << 4)) & 0xFFFF;
    }
}
