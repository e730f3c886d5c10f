using System.Collections.Immutable;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>What the balancer remembers of the maps, and how it learns it from maps that an earlier agent filled.</summary>
public sealed partial class Balancer
{
    private void Adopt()
    {
        var byId = new Dictionary<uint, List<Member>>();
        var entries = _maps.Backends.Entries;
        for (var id = 1; id < entries.Length; id++)
        {
            ref readonly var entry = ref entries[id];
            if (entry.InUse != 0 && _backendIds.Adopt((uint)id))
            {
                if (!byId.TryGetValue(entry.Service, out var members))
                {
                    byId.Add(entry.Service, members = []);
                }

                members.Add(new Member(entry.Address, entry.Port.Value, (uint)id));
            }
        }

        _maps.Services.ReadAll((key, entry) =>
        {
            if (entry.Id != ServiceEntry.AddressOnly && _serviceIds.Adopt(entry.Id))
            {
                var ring = _rings.Adopt(new RingPlace(entry.RingStart, (int)entry.RingSlots));
                byId.Remove(entry.Id, out var members);
                _served.Add(key, new Served { Id = entry.Id, Ring = ring, Flags = entry.Flags, Members = [.. members ?? []] });
                _servicesOfAddress[key.Address] = _servicesOfAddress.GetValueOrDefault(key.Address) + 1;
            }
        });

        AdoptDirect(byId);
        _rings.Sizes.Fit([.. _served.Values.SelectMany(RingsOf)]);

        // An agent that died between two steps leaves backends whose service was never entered, or is gone.
        foreach (var orphan in byId.Values.SelectMany(m => m))
        {
            entries[(int)orphan.Id] = default;
            _backendIds.Release(orphan.Id);
        }

        _known.Rebuild(AddressesInForce());
    }

    private IEnumerable<KnownAddress> AddressesInForce() =>
        _served.SelectMany(s => s.Value.Members.Select(m => new KnownAddress(m.Address, IsService: false)).Prepend(new(s.Key.Address, IsService: true)));

    /// <summary>Number of a backend in the maps; false when there is no such service or backend.</summary>
    public bool TryGetId(ServiceKey key, IpAddress address, ushort port, out uint id)
    {
        id = 0;
        foreach (var member in _served.TryGetValue(key, out var served) ? served.Members : [])
        {
            if (member.Port == port && member.Address == address)
            {
                id = member.Id;
            }
        }

        return id != 0;
    }

    /// <summary>Shares that backends of a service have by its ring, whoever wrote it; empty when there is no such service, or it has no ring yet.</summary>
    public IReadOnlyDictionary<(IpAddress Address, ushort Port), double> SharesOf(ServiceKey key)
    {
        var shares = new Dictionary<(IpAddress, ushort), double>();
        if (_served.TryGetValue(key, out var served) && served.Ring.Slots > 0)
        {
            var counts = _rings.CountsOf(served.Ring);
            foreach (var member in served.Members)
            {
                shares[(member.Address, member.Port)] = counts.GetValueOrDefault(member.Id) / (double)served.Ring.Slots;
            }
        }

        return shares;
    }

    /// <summary>A service as the maps have it.</summary>
    internal sealed class Served
    {
        public required uint Id { get; init; }

        public RingPlace Ring { get; set; }

        public ServiceFlags Flags { get; set; }

        public Member[] Members { get; set; } = [];

        /// <summary>How its clients' addresses are replaced.</summary>
        public ServiceFlags TranslationFlags { get; set; }

        /// <summary>How its clients are treated beside that.</summary>
        public ServiceFlags ClientFlags { get; set; }

        /// <summary>Sources that may begin connections, of a service that rewrites.</summary>
        public HashSet<SourceKey> ClientSources { get; set; } = [];

        /// <summary>Backends whose addresses are replaced when they are clients, when those of others are not.</summary>
        public HashSet<SourceKey> BackendSources { get; set; } = [];

        /// <summary>What was applied last; null before that.</summary>
        public ServiceState? State { get; set; }

        /// <summary>What is being applied; null before that.</summary>
        public ServiceModel? Wanted { get; set; }

        /// <summary>What is in the tables of direct return; null when it is not there.</summary>
        public DirectState? Direct { get; set; }

        /// <summary>What was wrong with it.</summary>
        public ImmutableArray<BalancerProblem> Problems { get; set; } = [];
    }

    /// <summary>A backend as the maps have it.</summary>
    internal readonly record struct Member(IpAddress Address, ushort Port, uint Id);
}
