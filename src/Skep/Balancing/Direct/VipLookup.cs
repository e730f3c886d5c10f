using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>Kernel half: the service a packet is for.</summary>
internal abstract class VipLookup
{
    /// <summary>Finds the service of a receiver; false when it is none's.</summary>
    /// <param name="address">The receiver.</param>
    /// <param name="isIPv6">Its family.</param>
    /// <param name="ports">Ports of the packet as loaded, the receiver's in the upper half.</param>
    /// <param name="protocol">TCP or UDP.</param>
    /// <param name="service">Id of the service.</param>
    /// <param name="flags">How its packets are treated.</param>
    internal abstract bool TryFind(in IpAddress address, bool isIPv6, uint ports, IpProtocol protocol, out uint service, out VipFlags flags);
}

/// <summary>Endpoints in a table: any number of them, two array accesses at most, and one more for each range.</summary>
internal sealed class VipTableLookup(ArrayMap<VipSlot> slots, bool ranges) : VipLookup
{
    private readonly ArrayMap<VipSlot> _slots = slots;
    private readonly uint _mask = slots.MaxEntries - 1;
    private readonly bool _ranges = ranges;

    internal override bool TryFind(in IpAddress address, bool isIPv6, uint ports, IpProtocol protocol, out uint service, out VipFlags flags)
    {
        var port = NetworkUInt16.FromRaw((ushort)(ports >> 16));
        var found = TryRead(in address, VipSlot.KeyOf(port.Raw, protocol), out var slot) || (_ranges && TryFindRange(in address, port, protocol, out slot));
        service = slot.Service;
        flags = slot.Flags;
        return found;
    }

    /// <summary>Finds the range of ports that has a port.</summary>
    internal bool TryFindRange(in IpAddress address, NetworkUInt16 port, IpProtocol protocol, out VipSlot slot)
    {
        slot = default;
        for (var rank = 0; rank < VipSlot.MaxRanges; rank++)
        {
            if (!TryRead(in address, VipSlot.KeyOf(0, protocol, rank), out slot))
            {
                return false;
            }

            if (port.Value >= slot.FirstPort && port.Value <= slot.LastPort)
            {
                return true;
            }

            if ((slot.Flags & VipFlags.MoreRanges) == 0)
            {
                return false;
            }
        }

        return false;
    }

    /// <summary>Finds what stands under a key.</summary>
    internal bool TryRead(in IpAddress address, uint key, out VipSlot slot)
    {
        slot = default;
        var hash = VipSlot.Hash(in address, key);
        ref var first = ref _slots.Find(VipSlot.FirstPlace(hash, _mask));
        if (Unsafe.IsNullRef(ref first))
        {
            return false;
        }

        if (first.Key == key && first.Address == address)
        {
            slot = first;
            return true;
        }

        ref var second = ref _slots.Find(VipSlot.SecondPlace(hash, _mask));
        if (Unsafe.IsNullRef(ref second) || second.Key != key || second.Address != address)
        {
            return false;
        }

        slot = second;
        return true;
    }
}

/// <summary>
/// Few endpoints, or those with most of the traffic: comparisons with constants, the families apart; the others may be in a table. The first ones are compared at once, the
/// rest in groups by their addresses: one comparison a group, and those of one group.
/// </summary>
internal sealed class VipCode : VipLookup
{
    private const int AtOnce = 2;

    private readonly ImmutableArray<Comparison> _first4;
    private readonly ImmutableArray<Comparison> _first6;
    private readonly ImmutableArray<Group> _groups4;
    private readonly ImmutableArray<Group> _groups6;

    private readonly VipTableLookup? _others;
    private readonly bool _isOne;

    internal VipCode(VipList list, VipTableLookup? others)
    {
        _others = others;
        _isOne = others is null && list.Entries.Length == 1;
        _first4 = [.. list.Entries.Where(e => e.Address.IsIPv4).Take(AtOnce).Select(e => new Comparison(e))];
        _first6 = [.. list.Entries.Where(e => !e.Address.IsIPv4).Take(AtOnce).Select(e => new Comparison(e))];
        _groups4 = GroupsOf(list.Entries.Where(e => e.Address.IsIPv4).Skip(AtOnce));
        _groups6 = GroupsOf(list.Entries.Where(e => !e.Address.IsIPv4).Skip(AtOnce));
    }

    internal override bool TryFind(in IpAddress address, bool isIPv6, uint ports, IpProtocol protocol, out uint service, out VipFlags flags)
    {
        if (!TryCompare(in address, isIPv6, NetworkUInt16.FromRaw((ushort)(ports >> 16)), protocol, out service, out flags)
            && (_others is null || !_others.TryFind(in address, isIPv6, ports, protocol, out service, out flags)))
        {
            return false;
        }

        if (!_isOne)
        {
            // Whichever of several it is: one state for the verifier from here on.
            service = (uint)Verifier.Forget(service, ports) & ushort.MaxValue;
            flags = (VipFlags)(uint)Verifier.Forget((uint)flags, ports);
        }

        return true;
    }

    private bool TryCompare(in IpAddress address, bool isIPv6, NetworkUInt16 port, IpProtocol protocol, out uint service, out VipFlags flags)
    {
        if (isIPv6)
        {
            if (TryCompare6(_first6, in address, port, protocol, out service, out flags))
            {
                return true;
            }

            foreach (var group in _groups6)
            {
                if (address.RawLower <= group.Last)
                {
                    return TryCompare6(group.Entries, in address, port, protocol, out service, out flags);
                }
            }
        }
        else
        {
            if (TryCompare4(_first4, in address, port, protocol, out service, out flags))
            {
                return true;
            }

            foreach (var group in _groups4)
            {
                if (address.RawIPv4 <= group.LastIPv4)
                {
                    return TryCompare4(group.Entries, in address, port, protocol, out service, out flags);
                }
            }
        }

        return false;
    }

    private static bool TryCompare4(
        ImmutableArray<Comparison> entries, in IpAddress address, NetworkUInt16 port, IpProtocol protocol, out uint service, out VipFlags flags)
    {
        foreach (var entry in entries)
        {
            if (address.RawIPv4 == entry.IPv4 && entry.Fits(port, protocol))
            {
                service = entry.Service;
                flags = entry.Flags;
                return true;
            }
        }

        service = 0;
        flags = VipFlags.None;
        return false;
    }

    private static bool TryCompare6(
        ImmutableArray<Comparison> entries, in IpAddress address, NetworkUInt16 port, IpProtocol protocol, out uint service, out VipFlags flags)
    {
        foreach (var entry in entries)
        {
            if (address.RawLower == entry.Lower && address.RawUpper == entry.Upper && entry.Fits(port, protocol))
            {
                service = entry.Service;
                flags = entry.Flags;
                return true;
            }
        }

        service = 0;
        flags = VipFlags.None;
        return false;
    }

    // As many groups as each has addresses; all endpoints of an address are in one, in the order of the list.
    private static ImmutableArray<Group> GroupsOf(IEnumerable<VipEntry> entries)
    {
        var addresses = entries.GroupBy(e => e.Address.IsIPv4 ? e.Address.RawIPv4 : e.Address.RawLower).OrderBy(g => g.Key).ToArray();
        var size = (int)Math.Ceiling(Math.Sqrt(addresses.Length));
        return size == 0 ? [] : [.. addresses.Chunk(size).Select(c => new Group(c[^1].Key, [.. c.SelectMany(g => g).Select(e => new Comparison(e))]))];
    }

    private sealed class Group(ulong last, ImmutableArray<Comparison> entries)
    {
        internal ulong Last { get; } = last;

        internal uint LastIPv4 { get; } = (uint)last;

        internal ImmutableArray<Comparison> Entries { get; } = entries;
    }

    private sealed class Comparison(VipEntry entry)
    {
        private readonly uint _key = VipSlot.KeyOf(NetworkUInt16.From(entry.FirstPort).Raw, entry.Protocol);
        private readonly bool _isRange = entry.FirstPort != entry.LastPort;
        private readonly uint _protocol = (uint)entry.Protocol;
        private readonly uint _first = entry.FirstPort;
        private readonly uint _last = entry.LastPort;

        internal ulong Upper { get; } = entry.Address.RawUpper;

        internal ulong Lower { get; } = entry.Address.RawLower;

        internal uint IPv4 { get; } = entry.Address.RawIPv4;

        internal uint Service { get; } = entry.Service;

        internal VipFlags Flags { get; } = entry.Flags;

        internal bool Fits(NetworkUInt16 port, IpProtocol protocol) => _isRange
            ? (uint)protocol == _protocol && port.Value - _first <= _last - _first
            : VipSlot.KeyOf(port.Raw, protocol) == _key;
    }
}
