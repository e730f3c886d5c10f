using Skep.Packets;

namespace Skep.Balancing;

/// <summary>Services whose backends see own addresses instead of the clients'.</summary>
public sealed partial class Balancer
{
    private bool _translatesSources;

    /// <summary>Whether there are, or may be, connections with source translation: programs have to know them.</summary>
    public bool TranslatesSources => _translatesSources;

    /// <summary>
    /// Looks whether connections with source translation are left when no service has it any more; reads the connection table then. Returns whether none is, so that
    /// programs need not know them from now on.
    /// </summary>
    public bool ReleaseAddresses()
    {
        if (!_translatesSources || HasTranslated())
        {
            return false;
        }

        _translatesSources = false;
        return true;
    }

    // As the tables have it, because what an earlier agent left there is in force too.
    private bool HasTranslated() => _served.Values.Any(s => (s.Flags & ServiceFlags.TranslatesSources) != 0)
        || _tracker.Numbers().Any(n => _tracker.At(n).Kind != ConnectionKind.Plain);

    // Before the service's entry, whose flags make programs look. What does not fit is told, and clients keep their addresses.
    private ServiceFlags WriteTranslation(
        ServiceModel service, Served served, IEnumerable<IpAddress> backends, Action<BalancerProblemKind, string> report)
    {
        if (service.SourceTranslation is not { } translation || service.Forwarding != ForwardingMode.Nat)
        {
            RemoveTranslation(served);
            return ServiceFlags.None;
        }

        var pools = translation.Addresses.Select(address => new SourcePool
        {
            Address = address,
            FirstPort = translation.FirstPort,
            Ports = (ushort)Math.Min(ushort.MaxValue, translation.LastPort - translation.FirstPort + 1),
        }).ToArray();
        if (pools.Length == 0)
        {
            return ServiceFlags.None;
        }

        _translatesSources = true;
        WritePools(served.Id, pools);
        WriteBackendSources(served, translation.OnlyBackends ? backends : [], report);
        return ServiceFlags.TranslatesSources | (translation.OnlyBackends ? ServiceFlags.OnlyOfBackends : ServiceFlags.None);
    }

    // A row without ports gives nothing out: nobody reads half of one.
    private void WritePools(uint service, SourcePool[] pools)
    {
        for (var i = 0; i < SourcePool.MostAddresses; i++)
        {
            ref var row = ref _maps.SourcePools.Entries[(int)(service * SourcePool.MostAddresses) + i];
            var pool = i < pools.Length ? pools[i] : default;
            pool.Pools = (uint)pools.Length;
            if (row.Address == pool.Address && row.FirstPort == pool.FirstPort && row.Ports == pool.Ports && row.Pools == pool.Pools)
            {
                continue;
            }

            Volatile.Write(ref row.Ports, 0);
            (row.Address, row.FirstPort, row.Pools) = (pool.Address, pool.FirstPort, pool.Pools);
            Volatile.Write(ref row.Ports, pool.Ports);
        }
    }

    private void WriteBackendSources(Served served, IEnumerable<IpAddress> backends, Action<BalancerProblemKind, string> report)
    {
        var wanted = backends.Select(b => SourceKey.Of(served.Id | SourceKey.Backends, new IpPrefix(b, b.IsIPv4 ? 32 : 128))).ToHashSet();
        foreach (var source in wanted.Where(s => !served.BackendSources.Contains(s)))
        {
            if (_maps.Direct.Sources.TrySet(in source, 1) < 0)
            {
                report(BalancerProblemKind.WriteFailed, $"more than {DirectMaps.MaxSources} source ranges and translated backends; some backends cannot use the service themselves.");
                wanted.Remove(source);
                break;
            }
        }

        foreach (var source in served.BackendSources.Where(s => !wanted.Contains(s)))
        {
            _maps.Direct.Sources.Remove(in source);
        }

        served.BackendSources = wanted;
    }

    private void RemoveTranslation(Served served)
    {
        foreach (var source in served.BackendSources)
        {
            _maps.Direct.Sources.Remove(in source);
        }

        served.BackendSources = [];
    }
}
