using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>Kernel half: the service a packet is for.</summary>
internal abstract class VipLookup
{
    /// <summary>Whether there is but one service to be found.</summary>
    internal abstract bool IsOne { get; }

    /// <summary>Finds the service of a receiver; false when it is none's.</summary>
    /// <param name="address">The receiver.</param>
    /// <param name="isIPv6">Its family.</param>
    /// <param name="port">Its port.</param>
    /// <param name="protocol">TCP or UDP.</param>
    /// <param name="service">Id of the service.</param>
    /// <param name="flags">How its packets are treated.</param>
    internal abstract bool TryFind(in IpAddress address, bool isIPv6, NetworkUInt16 port, IpProtocol protocol, out uint service, out VipFlags flags);
}

/// <summary>Endpoints in a table: any number of them, two array accesses at most.</summary>
internal sealed class VipTableLookup(ArrayMap<VipSlot> slots) : VipLookup
{
    private readonly ArrayMap<VipSlot> _slots = slots;
    private readonly uint _mask = slots.MaxEntries - 1;

    internal override bool IsOne => false;

    internal override bool TryFind(in IpAddress address, bool isIPv6, NetworkUInt16 port, IpProtocol protocol, out uint service, out VipFlags flags)
    {
        var found = TryRead(in address, VipSlot.KeyOf(port.Raw, protocol), out var slot);
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

    private readonly ImmutableArray<Endpoints> _first4;
    private readonly ImmutableArray<Endpoints> _first6;
    private readonly ImmutableArray<Group> _groups4;
    private readonly ImmutableArray<Group> _groups6;

    private readonly VipTableLookup? _others;

    internal override bool IsOne { get; }

    internal VipCode(VipList list, VipTableLookup? others)
    {
        _others = others;
        IsOne = others is null && list.Entries.Length == 1;
        var addresses = AddressesOf(list.Entries);
        _first4 = [.. addresses.Where(a => a.IsIPv4).Take(AtOnce)];
        _first6 = [.. addresses.Where(a => !a.IsIPv4).Take(AtOnce)];
        _groups4 = GroupsOf(addresses.Where(a => a.IsIPv4).Skip(AtOnce));
        _groups6 = GroupsOf(addresses.Where(a => !a.IsIPv4).Skip(AtOnce));
    }

    internal override bool TryFind(in IpAddress address, bool isIPv6, NetworkUInt16 port, IpProtocol protocol, out uint service, out VipFlags flags) =>
        TryCompare(in address, isIPv6, port, protocol, out service, out flags)
        || (_others is not null && _others.TryFind(in address, isIPv6, port, protocol, out service, out flags));

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
                    return TryCompare6(group.Addresses, in address, port, protocol, out service, out flags);
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
                    return TryCompare4(group.Addresses, in address, port, protocol, out service, out flags);
                }
            }
        }

        return false;
    }

    private static bool TryCompare4(
        ImmutableArray<Endpoints> addresses, in IpAddress address, NetworkUInt16 port, IpProtocol protocol, out uint service, out VipFlags flags)
    {
        foreach (var one in addresses)
        {
            if (address.RawIPv4 == one.IPv4)
            {
                return TryFit(one.Entries, port, protocol, out service, out flags);
            }
        }

        service = 0;
        flags = VipFlags.None;
        return false;
    }

    private static bool TryCompare6(
        ImmutableArray<Endpoints> addresses, in IpAddress address, NetworkUInt16 port, IpProtocol protocol, out uint service, out VipFlags flags)
    {
        foreach (var one in addresses)
        {
            if (address.RawLower == one.Lower && address.RawUpper == one.Upper)
            {
                return TryFit(one.Entries, port, protocol, out service, out flags);
            }
        }

        service = 0;
        flags = VipFlags.None;
        return false;
    }

    private static bool TryFit(ImmutableArray<Comparison> entries, NetworkUInt16 port, IpProtocol protocol, out uint service, out VipFlags flags)
    {
        foreach (var entry in entries)
        {
            if (entry.Fits(port, protocol))
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

    // Endpoints by address, in the order of the list.
    private static Endpoints[] AddressesOf(IEnumerable<VipEntry> entries) =>
        [.. entries.GroupBy(e => e.Address).Select(g => new Endpoints(g.Key, [.. g.Select(e => new Comparison(e))]))];

    // As many groups as each has addresses; those that differ only in their upper half are in one.
    private static ImmutableArray<Group> GroupsOf(IEnumerable<Endpoints> addresses)
    {
        var sorted = addresses.GroupBy(a => a.Order).OrderBy(g => g.Key).ToArray();
        var size = (int)Math.Ceiling(Math.Sqrt(sorted.Length));
        return size == 0 ? [] : [.. sorted.Chunk(size).Select(c => new Group(c[^1].Key, [.. c.SelectMany(g => g)]))];
    }

    private sealed class Group(ulong last, ImmutableArray<Endpoints> addresses)
    {
        internal ulong Last { get; } = last;

        internal uint LastIPv4 { get; } = (uint)last;

        internal ImmutableArray<Endpoints> Addresses { get; } = addresses;
    }

    private sealed class Endpoints(IpAddress address, ImmutableArray<Comparison> entries)
    {
        internal bool IsIPv4 { get; } = address.IsIPv4;

        internal ulong Order { get; } = address.IsIPv4 ? address.RawIPv4 : address.RawLower;

        internal ulong Upper { get; } = address.RawUpper;

        internal ulong Lower { get; } = address.RawLower;

        internal uint IPv4 { get; } = address.RawIPv4;

        internal ImmutableArray<Comparison> Entries { get; } = entries;
    }

    private sealed class Comparison(VipEntry entry)
    {
        private readonly uint _key = VipSlot.KeyOf(NetworkUInt16.From(entry.FirstPort).Raw, entry.Protocol);
        private readonly bool _isRange = entry.FirstPort != entry.LastPort;
        private readonly uint _protocol = (uint)entry.Protocol;
        private readonly uint _first = entry.FirstPort;
        private readonly uint _last = entry.LastPort;

        internal uint Service { get; } = entry.Service;

        internal VipFlags Flags { get; } = entry.Flags;

        internal bool Fits(NetworkUInt16 port, IpProtocol protocol) => _isRange
            ? (uint)protocol == _protocol && port.Value - _first <= _last - _first
            : VipSlot.KeyOf(port.Raw, protocol) == _key;
    }
}
