using System.Runtime.InteropServices;
using Skep.Bpf;
using Skep.Bpf.Maps;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// User half of the table of endpoints: cuckoo hashing with two places for a key. When both are taken, their keys are moved to their other places, the last one
/// first, so that a program finds every key at every moment.
/// </summary>
internal sealed class VipTable
{
    private const int MostMoves = 64;

    private readonly ArrayMap<VipSlot> _map;
    private readonly VipSlot[] _slots;

    public VipTable(ArrayMap<VipSlot> map)
    {
        _map = map;
        _slots = new VipSlot[map.MaxEntries];
        map.ReadAll((index, slot) => _slots[index] = slot);
    }

    /// <summary>What is in the table, once for each key even where a move was cut short.</summary>
    public IEnumerable<VipSlot> Entries => Taken(_slots);

    /// <summary>What is in the entries of a table.</summary>
    public static IEnumerable<VipSlot> Read(MapStorage storage, uint places)
    {
        var slots = new VipSlot[places];
        for (var i = 0u; i < places; i++)
        {
            BpfException.ThrowIfFailed(storage.Read(BitConverter.GetBytes(i), MemoryMarshal.AsBytes(slots.AsSpan((int)i, 1))), "Reading a table of endpoints failed");
        }

        return Taken(slots);
    }

    private static IEnumerable<VipSlot> Taken(VipSlot[] slots) => slots.Where(IsTaken).DistinctBy(s => (s.Address, s.Key));

    /// <summary>Puts an endpoint in, or replaces it in one step. 0, -E2BIG when there is no room, or what the kernel says.</summary>
    public int Set(in VipSlot slot)
    {
        var (first, second) = PlacesOf(in slot);
        foreach (var place in (ReadOnlySpan<uint>)[first, second])
        {
            if (IsSame(in _slots[place], in slot))
            {
                return Write(place, in slot);
            }
        }

        if ((FindRoom(first) ?? FindRoom(second)) is not { } path)
        {
            return -Errno.TooBig;
        }

        for (var i = path.Count - 1; i > 0; i--)
        {
            var status = Write(path[i], in _slots[path[i - 1]]);
            if (status < 0)
            {
                return status;
            }
        }

        return Write(path[0], in slot);
    }

    /// <summary>Takes an endpoint out; nothing happens when it is not in.</summary>
    public void Remove(IpAddress address, uint key)
    {
        var wanted = new VipSlot { Address = address, Key = key };
        var (first, second) = PlacesOf(in wanted);
        foreach (var place in (ReadOnlySpan<uint>)[first, second])
        {
            if (IsSame(in _slots[place], in wanted))
            {
                Write(place, default);
            }
        }
    }

    private int Write(uint place, in VipSlot slot)
    {
        var status = _map.TrySet(in place, in slot);
        if (status == 0)
        {
            _slots[place] = slot;
        }

        return status;
    }

    // The places from the wanted one to a free one, each holding a key whose other place is the next.
    private List<uint>? FindRoom(uint place)
    {
        var path = new List<uint> { place };
        while (IsTaken(_slots[path[^1]]))
        {
            var (first, second) = PlacesOf(in _slots[path[^1]]);
            var next = first == path[^1] ? second : first;
            if (path.Count > MostMoves || path.Contains(next))
            {
                return null;
            }

            path.Add(next);
        }

        return path;
    }

    private (uint First, uint Second) PlacesOf(in VipSlot slot)
    {
        var hash = VipSlot.Hash(in slot.Address, slot.Key);
        var mask = (uint)_slots.Length - 1;
        return (VipSlot.FirstPlace(hash, mask), VipSlot.SecondPlace(hash, mask));
    }

    private static bool IsTaken(VipSlot slot) => slot.Key != 0;

    private static bool IsSame(in VipSlot slot, in VipSlot other) => slot.Key == other.Key && slot.Address == other.Address;
}
