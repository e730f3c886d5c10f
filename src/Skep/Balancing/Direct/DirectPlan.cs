using Skep.Packets;

namespace Skep.Balancing;

/// <summary>What a program has to do for the services in force, and no more: the same services give the same options.</summary>
public static class DirectPlan
{
    /// <summary>The options, or null when no service has direct return.</summary>
    /// <param name="services">Services in force.</param>
    /// <param name="hops">Ways to the backends.</param>
    /// <param name="seed">Secret of the flow table.</param>
    /// <param name="hot">Ids of services with most of the traffic, most of all first; see <see cref="VipHeat"/>.</param>
    /// <param name="mostVips">Endpoints that may become code.</param>
    public static DirectOptions? For(
        IReadOnlyList<ServiceState> services, IEnumerable<BackendPath> hops, ulong seed, IReadOnlyList<uint>? hot = null, int mostVips = VipList.Most)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(hops);
        ServiceState[] direct = [.. services.Where(s => s.Model.Forwarding != ForwardingMode.Nat)];
        if (direct.Length == 0)
        {
            return null;
        }

        var modes = direct.Aggregate(DirectModes.None, (all, s) => all | (DirectModes)(1 << (int)s.Model.Forwarding));
        var backends = direct.SelectMany(s => s.Backends).Select(b => b.Model.Address).ToArray();
        var hasIPv6 = backends.Any(b => !b.IsIPv4);
        // A range of a service that rewrites stands in the same table.
        var others = services.Any(s => s.Model is { Forwarding: ForwardingMode.Nat, LastPort: not null }) ? VipFlags.Rewritten : VipFlags.None;
        return new DirectOptions
        {
            Modes = modes,
            IPv4Backends = backends.Any(b => b.IsIPv4) || !hasIPv6,
            IPv6Backends = hasIPv6,
            Vlans = hops.Any(h => h.VlanId != 0),
            Features = direct.Aggregate(others, (all, s) => all | Balancer.FlagsOf(s.Model)),
            Ranges = direct.Any(s => s.Model.LastPort is not null),
            Measure = direct.Any(s => IsMeasurable(s.Model) && s.Model.Policy is { Outliers: not null } or { Adaptive: not null }),
            Sample = direct.Any(s => IsMeasurable(s.Model) && s.Model.Policy is { Outliers.LatencyFactor: not null } or { Adaptive: not null }),
            Seed = seed,
            Vips = ListOf(direct, hot ?? [], mostVips),
        };
    }

    private static bool IsMeasurable(ServiceModel service) => service is { Tracking: true, Protocol: IpProtocol.Tcp };

    /// <summary>All endpoints when they are few, else those with most of the traffic, which the table stands behind; null when it alone is better.</summary>
    private static VipList? ListOf(ServiceState[] direct, IReadOnlyList<uint> hot, int most)
    {
        var ranks = hot.Select((id, rank) => (id, rank)).ToDictionary(p => p.id, p => p.rank);
        if (direct.Length <= most)
        {
            return new VipList([.. direct.OrderBy(s => s.Model.LastPort is not null).ThenBy(s => ranks.GetValueOrDefault(s.Id, int.MaxValue)).ThenBy(s => s.Id).Select(Entry)]);
        }

        VipEntry[] first = [.. direct.Where(s => ranks.ContainsKey(s.Id) && s.Model.LastPort is null).OrderBy(s => ranks[s.Id]).Select(Entry).Take(most)];
        return first.Length == 0 ? null : new VipList([.. first], isWhole: false);
    }

    private static VipEntry Entry(ServiceState service) => new(
        service.Model.Address, service.Model.Protocol, service.Model.Port, service.Model.LastPort ?? service.Model.Port, (ushort)service.Id,
        Balancer.FlagsOf(service.Model));
}
