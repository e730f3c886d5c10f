using System.Numerics;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// User half of <see cref="KnownAddresses"/>: sets a bit before anything leads a packet to its address. Bits are not taken back one by one, because connections outlive
/// services and backends; when twice as many are set as after the last time, all are set anew from what there is.
/// </summary>
internal sealed class KnownAddressTable(BalancerMaps maps)
{
    // Below that hardly a packet meets a bit by chance.
    private const int WordsPerBit = 16;

    private readonly Tracker _connections = new(maps, translates: true);
    private int _set;
    private int _most;

    /// <summary>Sets the bit of an address.</summary>
    public void Add(KnownAddress known)
    {
        var number = NumberOf(known.Address);
        ref var bits = ref BitsOf(ref maps.Known.Entries[number / 32], known.IsService);
        var bit = 1u << (number % 32);
        _set += (bits & bit) == 0 ? 1 : 0;
        bits |= bit;
    }

    /// <summary>Whether the bit of an address is set.</summary>
    public bool MayHave(KnownAddress known)
    {
        var number = NumberOf(known.Address);
        return ((BitsOf(ref maps.Known.Entries[number / 32], known.IsService) >> (number % 32)) & 1) != 0;
    }

    /// <summary>
    /// Sets all bits anew, from <paramref name="current"/> and the connections there are, when that is due. A bit that stays is set at every moment; one that goes belongs to no
    /// connection, and none can begin.
    /// </summary>
    public void Tidy(Func<IEnumerable<KnownAddress>> current)
    {
        if (_set > _most)
        {
            Rebuild(current());
        }
    }

    /// <summary>Sets all bits anew, from <paramref name="current"/> and the connections there are.</summary>
    public void Rebuild(IEnumerable<KnownAddress> current)
    {
        var wanted = new KnownBits[maps.Known.Count];
        void Want(in IpAddress address, bool isService)
        {
            var number = NumberOf(in address);
            BitsOf(ref wanted[number / 32], isService) |= 1u << (number % 32);
        }

        foreach (var (address, isService) in current)
        {
            Want(in address, isService);
        }

        foreach (var number in _connections.Numbers())
        {
            ref readonly var connection = ref _connections.At(number);
            Want(in connection.Backend, isService: false);
            if (connection.Kind != ConnectionKind.Alias)
            {
                Want(in connection.Virtual, isService: true);
            }
        }

        var entries = maps.Known.Entries;
        _set = 0;
        for (var i = 0; i < wanted.Length; i++)
        {
            entries[i] = wanted[i];
            _set += BitOperations.PopCount(wanted[i].Services) + BitOperations.PopCount(wanted[i].Backends);
        }

        _most = Math.Max(_set * 2, (int)maps.Known.Count * 64 / WordsPerBit);
    }

    private static ref uint BitsOf(ref KnownBits bits, bool isService) => ref isService ? ref bits.Services : ref bits.Backends;

    private int NumberOf(in IpAddress address) => (int)KnownAddresses.NumberOf(in address, maps.Known.Count);
}

/// <summary>An address of a service, or of a backend that answers through here.</summary>
internal readonly record struct KnownAddress(IpAddress Address, bool IsService);
