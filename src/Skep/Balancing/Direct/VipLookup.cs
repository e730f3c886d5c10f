using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>Kernel half: the service a packet is for.</summary>
internal abstract class VipLookup
{
    /// <summary>Finds the service of a receiver; false when it is none's.</summary>
    internal abstract bool TryFind(in IpAddress address, NetworkUInt16 port, IpProtocol protocol, out uint service, out VipFlags flags);
}

/// <summary>Endpoints in a table: any number of them, two array accesses at most, and one more for each range.</summary>
internal sealed class VipTableLookup(ArrayMap<VipSlot> slots, bool ranges) : VipLookup
{
    private readonly ArrayMap<VipSlot> _slots = slots;
    private readonly uint _mask = slots.MaxEntries - 1;
    private readonly bool _ranges = ranges;

    internal override bool TryFind(in IpAddress address, NetworkUInt16 port, IpProtocol protocol, out uint service, out VipFlags flags)
    {
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

/// <summary>Few endpoints: comparisons with constants.</summary>
internal sealed class VipCode : VipLookup
{
    private readonly ImmutableArray<Comparison> _comparisons;

    internal VipCode(VipList list) => _comparisons = [.. list.Entries.Select(e => new Comparison(e))];

    internal override bool TryFind(in IpAddress address, NetworkUInt16 port, IpProtocol protocol, out uint service, out VipFlags flags)
    {
        foreach (var comparison in _comparisons)
        {
            if (comparison.Fits(in address, port, protocol))
            {
                service = comparison.Service;
                flags = comparison.Flags;
                return true;
            }
        }

        service = 0;
        flags = VipFlags.None;
        return false;
    }

    private sealed class Comparison(VipEntry entry)
    {
        private readonly ulong _upper = entry.Address.RawUpper;
        private readonly ulong _lower = entry.Address.RawLower;
        private readonly uint _key = VipSlot.KeyOf(NetworkUInt16.From(entry.FirstPort).Raw, entry.Protocol);
        private readonly bool _isRange = entry.FirstPort != entry.LastPort;
        private readonly uint _protocol = (uint)entry.Protocol;
        private readonly uint _first = entry.FirstPort;
        private readonly uint _last = entry.LastPort;

        internal uint Service { get; } = entry.Service;

        internal VipFlags Flags { get; } = entry.Flags;

        internal bool Fits(in IpAddress address, NetworkUInt16 port, IpProtocol protocol)
        {
            if (address.RawLower != _lower || address.RawUpper != _upper)
            {
                return false;
            }

            return _isRange
                ? (uint)protocol == _protocol && port.Value - _first <= _last - _first
                : VipSlot.KeyOf(port.Raw, protocol) == _key;
        }
    }
}
