using Skep.Packets;

namespace Skep.Balancing;

/// <summary>Services whose backends see own addresses instead of the clients'.</summary>
public sealed partial class Balancer
{
    private readonly AddressTable _addresses;

    /// <summary>Whether there are, or may be, connections with source translation: programs have to know them.</summary>
    public bool TranslatesSources => _addresses.IsUsed;

    /// <summary>
    /// Forgets addresses that no service names any more and no connection either; reads the connection table when there are any of the former. Returns whether
    /// none is left, so that programs need not know connections with source translation.
    /// </summary>
    public bool ReleaseAddresses()
    {
        if (!_addresses.IsUsed || !_addresses.HasOthersThan(WantedAddresses()))
        {
            return false;
        }

        _addresses.Release(WantedAddresses());
        return !_addresses.IsUsed;
    }

    // As the tables have it, because what an earlier agent left there is in force too.
    private HashSet<IpAddress> WantedAddresses()
    {
        var wanted = new HashSet<IpAddress>();
        foreach (var (key, served) in _served.Where(s => (s.Value.Flags & ServiceFlags.TranslatesSources) != 0))
        {
            wanted.Add(key.Address);
            foreach (ref readonly var pool in _maps.SourcePools.Entries.Slice((int)served.Id * SourcePool.MostAddresses, SourcePool.MostAddresses))
            {
                wanted.Add(pool.Address);
            }
        }

        return wanted;
    }

    // Before the service's entry, whose flags make programs look. What does not fit is told, and clients keep their addresses.
    private ServiceFlags WriteTranslation(
        ServiceModel service, Served served, IEnumerable<IpAddress> backends, Action<BalancerProblemKind, string> report)
    {
        if (service.SourceTranslation is not { } translation || service.Forwarding != ForwardingMode.Nat)
        {
            RemoveTranslation(served);
            return ServiceFlags.None;
        }

        IReadOnlySet<IpAddress> Wanted() => new HashSet<IpAddress>(WantedAddresses().Concat([service.Address, .. translation.Addresses]));

        if (!_addresses.TryNumber(service.Address, Wanted, out var virtualNumber))
        {
            report(BalancerProblemKind.TooManyAddresses, $"{service.Address} finds no room among {BalancerMaps.MaxAddresses} addresses of source translation; backends see clients' own addresses.");
            return ServiceFlags.None;
        }

        var pools = new List<SourcePool>();
        foreach (var address in translation.Addresses)
        {
            if (!_addresses.TryNumber(address, Wanted, out var number))
            {
                report(BalancerProblemKind.TooManyAddresses, $"{address} finds no room among {BalancerMaps.MaxAddresses} addresses of source translation; it is left out.");
                continue;
            }

            pools.Add(new SourcePool
            {
                Address = address,
                FirstPort = translation.FirstPort,
                Ports = (ushort)Math.Min(ushort.MaxValue, translation.LastPort - translation.FirstPort + 1),
                Number = number,
                VirtualNumber = virtualNumber,
            });
        }

        if (pools.Count == 0)
        {
            return ServiceFlags.None;
        }

        WritePools(served.Id, pools);
        WriteBackendSources(served, translation.OnlyBackends ? backends : [], report);
        return ServiceFlags.TranslatesSources | (translation.OnlyBackends ? ServiceFlags.OnlyOfBackends : ServiceFlags.None);
    }

    // A row without ports gives nothing out: nobody reads half of one.
    private void WritePools(uint service, List<SourcePool> pools)
    {
        for (var i = 0; i < SourcePool.MostAddresses; i++)
        {
            ref var row = ref _maps.SourcePools.Entries[(int)(service * SourcePool.MostAddresses) + i];
            var pool = i < pools.Count ? pools[i] : default;
            pool.Pools = (ushort)pools.Count;
            if (row.Address == pool.Address && row.Number == pool.Number && row.VirtualNumber == pool.VirtualNumber && row.FirstPort == pool.FirstPort
                && row.Ports == pool.Ports && row.Pools == pool.Pools)
            {
                continue;
            }

            Volatile.Write(ref row.Ports, 0);
            (row.Address, row.FirstPort, row.Pools, row.Number, row.VirtualNumber) = (pool.Address, pool.FirstPort, pool.Pools, pool.Number, pool.VirtualNumber);
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
