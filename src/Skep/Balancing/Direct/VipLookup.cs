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

/// <summary>Few endpoints, or those with most of the traffic: comparisons with constants, the families apart; the others may be in a table.</summary>
internal sealed class VipCode : VipLookup
{
    private readonly ImmutableArray<Comparison> _ipv4;
    private readonly ImmutableArray<Comparison> _ipv6;

    private readonly VipTableLookup? _others;
    private readonly bool _isOne;

    internal VipCode(VipList list, VipTableLookup? others)
    {
        _others = others;
        _isOne = others is null && list.Entries.Length == 1;
        _ipv4 = [.. list.Entries.Where(e => e.Address.IsIPv4).Select(e => new Comparison(e))];
        _ipv6 = [.. list.Entries.Where(e => !e.Address.IsIPv4).Select(e => new Comparison(e))];
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
            foreach (var comparison in _ipv6)
            {
                if (address.RawLower == comparison.Lower && address.RawUpper == comparison.Upper && comparison.Fits(port, protocol))
                {
                    service = comparison.Service;
                    flags = comparison.Flags;
                    return true;
                }
            }
        }
        else
        {
            foreach (var comparison in _ipv4)
            {
                if (address.RawIPv4 == comparison.IPv4 && comparison.Fits(port, protocol))
                {
                    service = comparison.Service;
                    flags = comparison.Flags;
                    return true;
                }
            }
        }

        service = 0;
        flags = VipFlags.None;
        return false;
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
