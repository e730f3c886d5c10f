using Skep.Packets;

namespace Skep.Balancing;

/// <summary>What services that rewrite ask of clients, by the tables of direct return.</summary>
public sealed partial class Balancer
{
    /// <summary>What services of a list ask for, all together: what programs have to know.</summary>
    public static ServiceFlags FeaturesOf(IEnumerable<ServiceState> services)
    {
        ArgumentNullException.ThrowIfNull(services);
        return services.Aggregate(ServiceFlags.None, (all, s) => all | ClientFlagsOf(s.Model));
    }

    private static ServiceFlags ClientFlagsOf(ServiceModel service) => service.Forwarding != ForwardingMode.Nat ? ServiceFlags.None
        : (service.ClientPrefix is null ? ServiceFlags.None : ServiceFlags.ByClient)
        | (service.SourceRanges.IsEmpty ? ServiceFlags.None : ServiceFlags.Restricted)
        | (service.LastPort is null ? ServiceFlags.None : ServiceFlags.Ranged);

    // Before the service's entry, whose flags make programs look.
    private ServiceFlags WriteClients(ServiceModel service, Served served, Action<BalancerProblemKind, string> report)
    {
        var flags = ClientFlagsOf(service);
        if ((flags & ServiceFlags.ByClient) != 0)
        {
            var (upper, lower) = MaskOf(service);
            var row = new DirectService { ClientMaskUpper = upper, ClientMaskLower = lower };
            if (_maps.Direct.Services.TrySet(served.Id, in row) < 0)
            {
                report(BalancerProblemKind.WriteFailed, $"{service.Endpoint} finds no room for the affinity of its clients; it has that of connections.");
                flags &= ~ServiceFlags.ByClient;
            }
        }

        var wanted = (flags & ServiceFlags.Restricted) != 0 ? service.SourceRanges.Select(p => SourceKey.Of(served.Id, p)).ToHashSet() : [];
        foreach (var source in wanted.Where(s => !served.ClientSources.Contains(s)).ToArray())
        {
            if (_maps.Direct.Sources.TrySet(in source, 1) < 0)
            {
                report(BalancerProblemKind.TooManySources, $"{service.Endpoint}: {DirectMaps.MaxSources} source ranges of all services are taken; those that find no room are refused.");
                wanted.Remove(source);
                break;
            }
        }

        foreach (var source in served.ClientSources.Where(s => !wanted.Contains(s)))
        {
            _maps.Direct.Sources.Remove(in source);
        }

        served.ClientSources = wanted;
        return flags;
    }

    private void RemoveClients(Served served)
    {
        foreach (var source in served.ClientSources)
        {
            _maps.Direct.Sources.Remove(in source);
        }

        served.ClientSources = [];
    }
}
