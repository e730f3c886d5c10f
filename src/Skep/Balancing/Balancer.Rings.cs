using System.Runtime.InteropServices;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>Where the rings of services lie, and how they come to be elsewhere.</summary>
public sealed partial class Balancer
{
    private bool _hasShrunk;

    // What was in effect before a ring shrank is told as it is now.
    private void Refresh()
    {
        if (_hasShrunk)
        {
            _hasShrunk = false;
            Services = [.. Services.Select(s => _served[s.Model.Key].State ?? s)];
        }
    }

    /// <summary>Where the ring of a service in effect lies, and how it chooses.</summary>
    internal (RingPlace Ring, ServiceFlags Flags) RingOf(ServiceKey key) => (_served[key].Ring, _served[key].Flags);

    /// <summary>Who has a slot of a ring; 0 for nobody.</summary>
    internal uint IdAt(RingPlace ring, int slot) => _rings.IdAt(ring, slot);

    /// <summary>Who had a slot before; 0 for nobody, or when nobody keeps it.</summary>
    internal uint FormerAt(RingPlace ring, int slot) => ring.HasFormer ? _rings.IdAt(new RingPlace(_rings.FormerStart(ring), ring.Slots), slot) : 0;

    // In place when the ring is large enough; else a larger one is filled first and then put in the place of the old one in one step.
    private bool TryWriteRing(ServiceModel service, Served served, ReadOnlySpan<RingMember> members, Span<int> quotas, out int status)
    {
        status = 0;
        var key = service.Key;
        var flags = served.ClientFlags | served.TranslationFlags | (service is { Policy.Adaptive: not null, Protocol: IpProtocol.Tcp } ? ServiceFlags.TwoChoices : ServiceFlags.None);
        var hadFlags = served.Flags;
        served.Flags = flags;
        served.Wanted = service;
        var isOfKind = served.Ring.Slots == 0 || served.Ring.HasFormer == HasSecondChance(service);
        if ((_rings.Sizes.For(members.Length) > served.Ring.Slots || !isOfKind) && TryTakeRows(members.Length, served, out var fresh))
        {
            _rings.Copy(served.Ring, fresh);
            _rings.Write(fresh, members, quotas);
            status = Publish(key, served, fresh);
            if (status == 0)
            {
                return true;
            }
        }

        // A ring that finds no larger place serves on as it is.
        if (served.Ring.Slots > 0)
        {
            _rings.Write(served.Ring, members, quotas);
            status = flags != hadFlags || !IsAsBefore(service, served) ? WriteEntry(key, served, served.Ring) : 0;
            return status == 0;
        }

        return false;
    }

    private bool TryTakeRows(int members, Served served, out RingPlace ring)
    {
        var hasFormer = served.Wanted is { } wanted && HasSecondChance(wanted);
        if (_rings.TryTake(_rings.Sizes.For(members), last: false, hasFormer, out ring))
        {
            return true;
        }

        // The rows run short: from now on rings are smaller, and those that are larger shrink.
        _rings.Sizes.Fit([.. _served.Values.Where(s => s != served).SelectMany(RingsOf), .. Enumerable.Repeat(members, hasFormer ? 2 : 1)]);
        foreach (var (key, other) in _served.Where(s => s.Value != served && s.Value.Ring.Slots > _rings.Sizes.For(s.Value.Members.Length)))
        {
            Shrink(key, other);
        }

        var size = _rings.Sizes.For(members);
        return (size > served.Ring.Slots || served.Ring.HasFormer != hasFormer)
            && (_rings.TryTake(size, last: false, hasFormer, out ring) || (served.Ring.Slots == 0 && _rings.TryTake(size, last: true, hasFormer, out ring)));
    }

    private void Shrink(ServiceKey key, Served served)
    {
        if (!_rings.TryTake(_rings.Sizes.For(served.Members.Length), last: true, served.Ring.HasFormer, out var fresh))
        {
            return;
        }

        _rings.Copy(served.Ring, fresh);
        if (served.State is { } state)
        {
            var members = MembersOf(state.Backends.Select(b => (b.Id, b.Model)));
            var quotas = new int[members.Length];
            _rings.Write(fresh, members, quotas);
            if (Publish(key, served, fresh) == 0)
            {
                var slots = members.Select((m, i) => (m.Id, quotas[i])).ToDictionary();
                served.State = state with { Slots = fresh.Slots, Backends = [.. state.Backends.Select(b => b with { Share = slots[b.Id] / (double)fresh.Slots })] };
                _hasShrunk = true;
            }

            return;
        }

        Publish(key, served, fresh);
    }

    // The entry in one step. What the kernel refuses leaves the old ring in force.
    private int Publish(ServiceKey key, Served served, RingPlace fresh)
    {
        var address = new ServiceKey { Address = key.Address };
        var isNew = !_served.ContainsKey(key);
        var isFirst = isNew && !_servicesOfAddress.ContainsKey(key.Address);
        var status = isFirst ? _maps.Services.TrySet(in address, new ServiceEntry { Id = ServiceEntry.AddressOnly }) : 0;
        if (status == 0)
        {
            status = WriteEntry(key, served, fresh);
            if (status < 0 && isFirst)
            {
                _maps.Services.Remove(in address);
            }
        }

        if (status < 0)
        {
            _rings.Release(fresh);
            return status;
        }

        CollectionsMarshal.GetValueRefOrAddDefault(_servicesOfAddress, key.Address, out _) += isNew ? 1 : 0;
        _rings.Release(served.Ring);
        served.Ring = fresh;
        return 0;
    }

    /// <summary>Whether the former owner of a slot travels with packets of connections that nobody here knows.</summary>
    internal static bool HasSecondChance(ServiceModel service) =>
        service is { SecondChance: true, Protocol: IpProtocol.Tcp, Forwarding: ForwardingMode.Gue or ForwardingMode.Geneve };

    // Members of the rings that a service has: with a second chance there are two.
    private static IEnumerable<int> RingsOf(Served served) => Enumerable.Repeat(served.Members.Length, served.Ring.HasFormer ? 2 : 1);

    private static ServiceEntry EntryOf(Served served, RingPlace ring) =>
        new() { Id = served.Id, RingStart = ring.Start, RingSlots = (uint)ring.Slots, Flags = served.Flags };

    // By address and port, so that every host has them in the same order.
    private static RingMember[] MembersOf(IEnumerable<(uint Id, BackendModel Model)> backends)
    {
        RingMember[] members = [.. backends.Select(b => new RingMember(b.Id, b.Model.Address, b.Model.Port, b.Model.TakesConnections ? b.Model.RingWeight : 0))];
        Array.Sort(members, static (a, b) => a.Address.CompareTo(b.Address) is not 0 and var order ? order : a.Port.CompareTo(b.Port));
        return members;
    }
}
