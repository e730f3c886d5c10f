using System.Numerics;
using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>Bits of 32 numbers of addresses. Layout: services 4, backends 4, both as the processor loads them.</summary>
public struct KnownBits
{
    /// <summary>Set for addresses of services.</summary>
    public uint Services;

    /// <summary>Set for addresses of backends that answer through here.</summary>
    public uint Backends;
}

/// <summary>
/// Kernel half: whether an address is one that balancing may know, a bit of <see cref="BalancerMaps.Known"/> by its hash. A packet that is for no service and from no backend
/// is nobody's here, and two loads say so instead of the lookups of endpoints and connections; a bit that two addresses share costs those lookups and no more.
/// </summary>
internal sealed class KnownAddresses(GlobalArray<KnownBits> bits)
{
    private readonly GlobalArray<KnownBits> _bits = bits;
    private readonly uint _words = bits.Count;

    /// <summary>The lowest bit of the result is set when an address may be a service's. Kept as it is where it is asked for again: a condition would be worked out twice.</summary>
    internal uint AsService(in IpAddress address)
    {
        var number = NumberOf(in address, _words);
        ref var bits = ref _bits.Find((uint)(number >> 5));
        return Unsafe.IsNullRef(ref bits) ? 0 : bits.Services >> (int)number;
    }

    /// <summary>Whether an address may be a service's.</summary>
    internal bool MayBeService(in IpAddress address) => (AsService(in address) & 1) != 0;

    /// <summary>Whether an address may be that of a backend that answers through here.</summary>
    internal bool MayBeBackend(in IpAddress address)
    {
        var number = NumberOf(in address, _words);
        ref var bits = ref _bits.Find((uint)(number >> 5));
        return !Unsafe.IsNullRef(ref bits) && ((bits.Backends >> (int)number) & 1) != 0;
    }

    /// <summary>
    /// Number of an address among those of <paramref name="words"/>, a power of two, with 32 each. The last bytes of addresses, in which those of one network differ, are the
    /// highest of all and reach the highest bits alone: it is made of these.
    /// </summary>
    internal static ulong NumberOf(in IpAddress address, uint words) =>
        (((address.RawUpper * 0x9E3779B97F4A7C15) ^ address.RawLower) * 0xC2B2AE3D27D4EB4F) >> (64 - 5 - BitOperations.Log2(words));
}
