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
    private readonly uint _mask = maps.Known.MaxEntries - 1;
    private int _set;
    private int _most;

    /// <summary>An address of a service, or of a backend that answers through here.</summary>
    public void Add(in IpAddress address)
    {
        var hash = KnownAddresses.HashOf(in address);
        ref var word = ref maps.Known.Entries[(int)((hash >> 6) & _mask)];
        var bit = 1UL << (int)(hash & 63);
        _set += (word & bit) == 0 ? 1 : 0;
        word |= bit;
    }

    /// <summary>Whether the bit of an address is set.</summary>
    public bool MayHave(in IpAddress address)
    {
        var hash = KnownAddresses.HashOf(in address);
        return ((maps.Known.Entries[(int)((hash >> 6) & _mask)] >> (int)(hash & 63)) & 1) != 0;
    }

    /// <summary>
    /// Sets all bits anew, from <paramref name="current"/> and the connections there are, when that is due. A bit that stays is set at every moment; one that goes belongs to no
    /// connection, and none can begin.
    /// </summary>
    public void Tidy(Func<IEnumerable<IpAddress>> current)
    {
        if (_set > _most)
        {
            Rebuild(current());
        }
    }

    /// <summary>Sets all bits anew, from <paramref name="current"/> and the connections there are.</summary>
    public void Rebuild(IEnumerable<IpAddress> current)
    {
        var wanted = new ulong[maps.Known.MaxEntries];
        void Want(in IpAddress address)
        {
            var hash = KnownAddresses.HashOf(in address);
            wanted[(hash >> 6) & _mask] |= 1UL << (int)(hash & 63);
        }

        foreach (var address in current)
        {
            Want(in address);
        }

        foreach (var number in _connections.Numbers())
        {
            ref readonly var connection = ref _connections.At(number);
            Want(in connection.Backend);
            if (connection.Kind != ConnectionKind.Alias)
            {
                Want(in connection.Virtual);
            }
        }

        var entries = maps.Known.Entries;
        _set = 0;
        for (var i = 0; i < wanted.Length; i++)
        {
            entries[i] = wanted[i];
            _set += BitOperations.PopCount(wanted[i]);
        }

        _most = Math.Max(_set * 2, (int)maps.Known.MaxEntries * 64 / WordsPerBit);
    }
}
