using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// Kernel half: whether an address is one that balancing may know, a bit of <see cref="BalancerMaps.Known"/> by its hash. A packet between two that it does not know is
/// nobody's here, and two loads say so instead of the lookups of endpoints and connections; a bit that two addresses share costs those lookups and no more.
/// </summary>
internal sealed class KnownAddresses(ArrayMap<ulong> bits)
{
    private readonly ArrayMap<ulong> _bits = bits;
    private readonly uint _mask = bits.MaxEntries - 1;

    /// <summary>Whether an address may be a service's, or a backend's that answers through here.</summary>
    internal bool MayHave(in IpAddress address)
    {
        var hash = HashOf(in address);
        ref var word = ref _bits.Find((hash >> 6) & _mask);
        return !Unsafe.IsNullRef(ref word) && ((word >> (int)(hash & 63)) & 1) != 0;
    }

    /// <summary>Number of an address: its bit from the lowest six, its word from the others.</summary>
    internal static uint HashOf(in IpAddress address) => (uint)(VipSlot.Hash(in address, 0) >> 32);
}
