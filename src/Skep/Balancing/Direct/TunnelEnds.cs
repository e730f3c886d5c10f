using System.Collections.Immutable;
using Skep.Bpf;
using Skep.Bpf.Maps;
using Skep.Filtering;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>The maps by which outer headers are recognised.</summary>
public sealed class TunnelEndMaps
{
    internal const uint MaxAddresses = 2048;
    internal const uint MaxBalancers = 1024;
    internal const uint MaxPeers = 1024;

    internal TunnelEndMaps()
    {
        Addresses = new(MaxAddresses, "edge_tun_addr");
        Balancers = new(MaxBalancers, "edge_tun_from");
        Peers = new(MaxPeers, "edge_tun_peers");
    }

    /// <summary>What an address of this host is.</summary>
    public HashMap<IpAddress, TunnelAddress> Addresses { get; }

    /// <summary>Prefixes of balancers.</summary>
    public LpmTrie<PrefixKey, byte> Balancers { get; }

    /// <summary>Ways to other backends, for packets whose connection may be theirs.</summary>
    public HashMap<IpAddress, Tunnel> Peers { get; }

    /// <summary>All maps.</summary>
    public IReadOnlyList<BpfMap> All => [Addresses, Balancers, Peers];
}

/// <summary>What an address of a backend is to balancers.</summary>
[Flags]
public enum TunnelAddress : uint
{
    /// <summary>Nothing.</summary>
    None = 0,
    /// <summary>Balancers send outer packets to it.</summary>
    Outer = 1,
    /// <summary>A virtual address, in inner packets.</summary>
    Virtual = 2,
}

/// <summary>The ends of tunnels that a host is asked to be.</summary>
/// <param name="Addresses">Its addresses.</param>
/// <param name="Balancers">Where balancers are.</param>
public sealed record TunnelEndpointModel(ImmutableDictionary<IpAddress, TunnelAddress> Addresses, ImmutableHashSet<IpPrefix> Balancers)
{
    /// <summary>Other backends, to which packets go on that came with one of them as a second hop and have no socket here.</summary>
    public ImmutableHashSet<IpAddress> Peers { get; init; } = [];

    /// <summary>None.</summary>
    public static TunnelEndpointModel None { get; } = new(ImmutableDictionary<IpAddress, TunnelAddress>.Empty, []);

    /// <summary>All resources together.</summary>
    public static TunnelEndpointModel Of(IEnumerable<Resources.TunnelEndpoint> endpoints)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        var addresses = ImmutableDictionary.CreateBuilder<IpAddress, TunnelAddress>();
        var balancers = ImmutableHashSet.CreateBuilder<IpPrefix>();
        var peers = ImmutableHashSet.CreateBuilder<IpAddress>();
        foreach (var endpoint in endpoints)
        {
            foreach (var address in endpoint.TunnelAddresses.Select(IpAddress.From))
            {
                addresses[address] = addresses.GetValueOrDefault(address) | TunnelAddress.Outer;
            }

            foreach (var address in endpoint.Addresses.Select(IpAddress.From))
            {
                addresses[address] = addresses.GetValueOrDefault(address) | TunnelAddress.Virtual;
            }

            peers.UnionWith(endpoint.Peers.Select(IpAddress.From));
            balancers.UnionWith(endpoint.Balancers.Select(b => new IpPrefix(IpAddress.From(b.BaseAddress), b.PrefixLength)));
        }

        // A host that is named among its own peers is none.
        peers.ExceptWith(addresses.Keys);
        return new(addresses.ToImmutable(), balancers.ToImmutable()) { Peers = peers.ToImmutable() };
    }
}

/// <summary>User half: makes the maps say what a model says; what is there from an earlier agent is taken over. Not for concurrent use.</summary>
public sealed class TunnelEnds(TunnelEndMaps maps)
{
    private readonly Dictionary<IpAddress, Tunnel> _peers = [];
    private IReadOnlyDictionary<IpAddress, BackendPath> _hops = new Dictionary<IpAddress, BackendPath>();

    /// <summary>Other backends, to which ways are wanted.</summary>
    public IReadOnlyCollection<IpAddress> WantedHops => _peers.Keys;

    /// <summary>Takes over the ways to other backends; those that changed are written at once.</summary>
    /// <returns>What could not be written.</returns>
    public IReadOnlyList<string> SetNextHops(IReadOnlyDictionary<IpAddress, BackendPath> hops)
    {
        ArgumentNullException.ThrowIfNull(hops);
        _hops = hops;
        return [.. _peers.Keys.ToArray().Select(WritePeer).OfType<string>()];
    }

    private string? WritePeer(IpAddress address)
    {
        BackendPath? hop = _hops.TryGetValue(address, out var found) ? found : null;
        var way = Tunnel.Of(0, ForwardingMode.Gue, new BackendModel(address, 0), hop);
        if (_peers.TryGetValue(address, out var written) && Balancer.IsSame(in written, in way))
        {
            return null;
        }

        var status = maps.Peers.TrySet(in address, in way);
        if (status == 0)
        {
            _peers[address] = way;
            return null;
        }

        return $"packets for {address} as a second hop are not sent on: the table could not be written ({Errno.NameOf(status)}).";
    }

    /// <summary>Makes <paramref name="model"/> all there is; returns what could not be done. New entries come first, old ones go last.</summary>
    public IReadOnlyList<string> Apply(TunnelEndpointModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        var problems = new List<string>();
        foreach (var prefix in model.Balancers)
        {
            var key = PrefixKey.Of(prefix);
            Check(maps.Balancers.TrySet(in key, 1), $"packets of balancers in {prefix} are refused");
        }

        foreach (var (address, what) in model.Addresses)
        {
            Check(maps.Addresses.TrySet(in address, in what), $"outer headers for {address} stay on");
        }

        problems.AddRange(model.Peers.Select(WritePeer).OfType<string>());
        foreach (var address in maps.Peers.Keys.Where(a => !model.Peers.Contains(a)).ToArray())
        {
            maps.Peers.Remove(in address);
            _peers.Remove(address);
        }

        foreach (var address in maps.Addresses.Keys.Where(a => !model.Addresses.ContainsKey(a)).ToArray())
        {
            maps.Addresses.Remove(in address);
        }

        foreach (var key in maps.Balancers.Keys.Where(k => !model.Balancers.Contains(k.Prefix)).ToArray())
        {
            maps.Balancers.Remove(in key);
        }

        return problems;

        void Check(int status, string consequence)
        {
            if (status < 0)
            {
                problems.Add($"{consequence}: the table could not be written ({Errno.NameOf(status)}).");
            }
        }
    }
}
