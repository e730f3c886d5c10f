using System.Collections.Immutable;
using System.Net;
using System.Runtime.CompilerServices;
using Skep.Balancing;
using Skep.Bpf.Programming;
using Skep.Edge;
using Skep.Filtering;
using Skep.Packets;
using Skep.Resources;
using BlockList = Skep.Resources.BlockList;

namespace Skep.Engine;

/// <summary>A block that is wanted, and who wants it.</summary>
/// <param name="Prefix">Sources.</param>
/// <param name="Until">Its end; null for none.</param>
/// <param name="Origin">For example <c>BlockList/bad-actors</c> or <c>command</c>.</param>
/// <param name="Reason">Why, for people.</param>
public sealed record PlannedBlock(IpPrefix Prefix, DateTimeOffset? Until, string Origin, string Reason);

/// <summary>What resources mean for the edge: the same input gives the same plan.</summary>
public sealed record EdgePlan
{
    // Resources are immutable: one that stays has the services it had, and by their identity the balancer sees that it has nothing to do.
    private static readonly ConditionalWeakTable<LoadBalancer, ServiceModel[]> s_services = [];

    /// <summary>Nothing to enforce.</summary>
    public static EdgePlan Empty { get; } = new();

    /// <summary>The stages every interface needs; interfaces that need none are absent.</summary>
    public ImmutableSortedDictionary<string, EdgeOptions> Interfaces { get; init; } = ImmutableSortedDictionary<string, EdgeOptions>.Empty;

    /// <summary>Where packets are taken from an interface, when resources ask for a place.</summary>
    public ImmutableSortedDictionary<string, EdgeHook> Hooks { get; init; } = ImmutableSortedDictionary<string, EdgeHook>.Empty;

    /// <summary>Control group whose sockets are balanced, from the root of the hierarchy; null for none.</summary>
    public string? Cgroup { get; init; }

    /// <summary>Those of <see cref="Services"/> that sockets of this host are balanced to.</summary>
    public ImmutableArray<ServiceModel> HostServices { get; init; } = [];

    /// <summary>Interfaces on which services with direct return are served; what their programs need shows when backends and ways are known.</summary>
    public ImmutableHashSet<string> DirectInterfaces { get; init; } = [];

    /// <summary>Addresses at which outer headers are taken off.</summary>
    public TunnelEndpointModel Tunnels { get; init; } = TunnelEndpointModel.None;

    /// <summary>Virtual endpoints: one per address, port and protocol.</summary>
    public ImmutableArray<ServiceModel> Services { get; init; } = [];

    /// <summary>Sizes of the tables.</summary>
    public EdgeOptions Sizes { get; init; } = new();

    /// <summary>Blocks by prefix; of several for one prefix the one that lasts longest.</summary>
    public ImmutableDictionary<IpPrefix, PlannedBlock> Blocks { get; init; } = ImmutableDictionary<IpPrefix, PlannedBlock>.Empty;

    /// <summary>The plan for a set of resources, blocks by command, and the interfaces on which these are enforced.</summary>
    public static EdgePlan For(ResourceSet set, IReadOnlyCollection<PlannedBlock> commands, IReadOnlyCollection<string> commandInterfaces)
    {
        ArgumentNullException.ThrowIfNull(set);
        ArgumentNullException.ThrowIfNull(commands);
        var blocks = Merge([.. set.BlockLists.SelectMany(Planned), .. commands]);
        var hasPrefixes = blocks.Keys.Any(p => !p.IsSingleAddress);
        var blocking = set.BlockLists.SelectMany(l => l.Interfaces).Concat(commands.Count > 0 ? commandInterfaces : []).ToHashSet(StringComparer.Ordinal);
        // An answer comes back by another interface than the request: all of them know all services.
        var balancing = set.LoadBalancers.SelectMany(b => b.Interfaces).ToHashSet(StringComparer.Ordinal);
        var rewriting = set.LoadBalancers.Any(b => b.Forwarding == ForwardingMode.Nat);
        var direct = set.LoadBalancers.Any(b => b.Forwarding != ForwardingMode.Nat);
        var notBypassing = set.LoadBalancers.Where(b => !b.BypassStack).SelectMany(b => b.Interfaces).ToHashSet(StringComparer.Ordinal);
        var ends = set.TunnelEndpoints.SelectMany(t => t.Interfaces).ToHashSet(StringComparer.Ordinal);
        var limits = set.RateLimits.SelectMany(r => r.Interfaces.Select(i => (i, r))).ToDictionary(p => p.i, p => p.r, StringComparer.Ordinal);
        var services = set.LoadBalancers.Select(b => (Balancer: b, Services: s_services.GetValue(b, static b => [.. ServicesOf(b)]))).ToArray();
        var serviceLimits = ServiceLimits.For(services.Where(s => s.Balancer.ConnectionRate is not null || s.Balancer.PacketRate is not null).SelectMany(s => s.Services), KernelTick.Nanoseconds);
        return new EdgePlan
        {
            Sizes = SizesOf(set),
            Cgroup = set.LoadBalancers.FirstOrDefault(b => b.FromThisHost)?.Cgroup,
            HostServices = [.. services.Where(s => s.Balancer.FromThisHost).SelectMany(s => s.Services)],
            Interfaces = blocking.Union(balancing).Union(limits.Keys).Union(ends).ToImmutableSortedDictionary(
                name => name,
                name => new EdgeOptions
                {
                    BlockAddresses = blocking.Contains(name),
                    BlockPrefixes = blocking.Contains(name) && hasPrefixes,
                    Balance = rewriting && balancing.Contains(name),
                    Decapsulate = ends.Contains(name),
                    Limits = balancing.Contains(name) ? serviceLimits : null,
                    SendOn = set.TunnelEndpoints.Any(t => t.Interfaces.Contains(name) && t.Peers.Length > 0),
                    BypassStack = balancing.Contains(name) && !notBypassing.Contains(name),
                    RateLimit = limits.TryGetValue(name, out var limit) ? new SourceRate(limit.PacketsPerSecond, limit.Burst) : null,
                },
                StringComparer.Ordinal),
            Hooks = set.All.Where(r => r.Hook != EdgeHook.Auto).SelectMany(r => r.Interfaces.Select(i => (i, r.Hook))).DistinctBy(p => p.i)
                .ToImmutableSortedDictionary(p => p.i, p => p.Hook, StringComparer.Ordinal),
            DirectInterfaces = direct ? [.. balancing] : [],
            Tunnels = TunnelEndpointModel.Of(set.TunnelEndpoints),
            Services = [.. services.SelectMany(s => s.Services)],
            Blocks = blocks,
        };
    }

    /// <summary>Sizes of the tables that a set asks for.</summary>
    public static EdgeOptions SizesOf(ResourceSet set)
    {
        ArgumentNullException.ThrowIfNull(set);
        return set.TableSizes?.Apply(new EdgeOptions()) ?? new EdgeOptions();
    }

    /// <summary>What does not fit the tables of the edge, as problems of the resources that ask for it.</summary>
    public static ImmutableArray<ResourceProblem> Check(ResourceSet set)
    {
        ArgumentNullException.ThrowIfNull(set);
        var sizes = SizesOf(set);
        var problems = ImmutableArray.CreateBuilder<ResourceProblem>();
        long services = 0, backends = 0, addresses = 0, prefixes = 0;
        foreach (var balancer in set.LoadBalancers)
        {
            services += balancer.Addresses.Length * balancer.Ports.Length;
            backends += balancer.Addresses.Sum(a => (long)balancer.Ports.Length * balancer.Backends.Count(b => Serves(balancer, b, a)));
            Report(balancer, services > sizes.MaxServices, $"more than {sizes.MaxServices} virtual endpoints (addresses times ports) in all", "services");
            Report(balancer, backends > sizes.MaxBackends, $"more than {sizes.MaxBackends} backends in all, counted once for every endpoint", "backends");
        }

        foreach (var list in set.BlockLists)
        {
            addresses += list.Entries.Count(e => IsSingle(e.Prefix));
            prefixes += list.Entries.Count(e => !IsSingle(e.Prefix));
            Report(list, addresses > sizes.MaxBlockedAddresses, $"more than {sizes.MaxBlockedAddresses} blocked addresses in all", "blockedAddresses");
            Report(list, prefixes > sizes.MaxBlockedPrefixes, $"more than {sizes.MaxBlockedPrefixes} blocked prefixes in all", "blockedPrefixes");
        }

        return problems.ToImmutable();

        void Report(Resource resource, bool exceeds, string what, string? size)
        {
            if (exceeds)
            {
                problems.Add(new ResourceProblem(
                    resource.Source.File, resource.Source.Line, resource.Source.Column, "too-large", what,
                    size is null ? "the tables of the edge take no more: remove some" : $"the tables of the edge take no more: ask for larger ones with spec.{size} of a TableSizes resource, or remove some"));
            }
        }
    }

    private static bool IsSingle(IPNetwork prefix) =>
        prefix.PrefixLength == (prefix.BaseAddress.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork ? 32 : 128);

    private static IEnumerable<PlannedBlock> Planned(BlockList list) => list.Entries.Select(e => new PlannedBlock(
        new IpPrefix(IpAddress.From(e.Prefix.BaseAddress), e.Prefix.PrefixLength), e.Until, $"BlockList/{list.Name}", e.Reason));

    private static ImmutableDictionary<IpPrefix, PlannedBlock> Merge(IEnumerable<PlannedBlock> blocks)
    {
        var merged = ImmutableDictionary.CreateBuilder<IpPrefix, PlannedBlock>();
        foreach (var block in blocks)
        {
            if (!merged.TryGetValue(block.Prefix, out var other) || (other.Until is { } end && (block.Until is null || block.Until > end)))
            {
                merged[block.Prefix] = block;
            }
        }

        return merged.ToImmutable();
    }

    private static bool Serves(LoadBalancer balancer, Backend backend, IPAddress address) =>
        backend.Address.AddressFamily == address.AddressFamily || balancer.Forwarding is not (ForwardingMode.Nat or ForwardingMode.L2);

    private static IEnumerable<ServiceModel> ServicesOf(LoadBalancer balancer) =>
        from address in balancer.Addresses
        from port in balancer.Ports
        let vip = IpAddress.From(address)
        let range = port.Range
        // Of a range that is rewritten, backends serve the port that clients use.
        let keepsPort = balancer.Forwarding == ForwardingMode.Nat && range.Last != range.First
        select new ServiceModel(
            balancer.Name, vip, range.First, (IpProtocol)port.Protocol,
            [
                .. from backend in balancer.Backends
                   where Serves(balancer, backend, address)
                   select new BackendModel(IpAddress.From(backend.Address), keepsPort ? (ushort)0 : backend.Port ?? port.TargetPort, backend.Weight, backend.Drain)
                   {
                       Zone = backend.Zone,
                       Canary = backend.Canary,
                       DrainFor = backend.DrainFor,
                       QuicServerId = port.Protocol == TransportProtocol.UDP && balancer.QuicConfigs != 0 ? backend.QuicServerId : null,
                   },
            ])
        {
            Policy = balancer.Policy,
            Health = balancer.HealthCheck,
            Forwarding = balancer.Forwarding,
            LastPort = range.Last != range.First ? range.Last : null,
            ClientPrefix = balancer.Affinity is { } affinity ? vip.IsIPv4 ? affinity.IPv4Prefix : affinity.IPv6Prefix : null,
            Tracking = balancer.Tracking,
            ConnectionRate = balancer.ConnectionRate,
            PacketRate = balancer.PacketRate,
            SecondChance = balancer.SecondChance && port.Protocol == TransportProtocol.TCP,
            QuicConfigs = port.Protocol == TransportProtocol.UDP ? balancer.QuicConfigs : (byte)0,
            SourceTranslation = balancer.SourceTranslation is { } translation
                ? new SourceTranslation([.. translation.Addresses.Where(a => a.AddressFamily == address.AddressFamily).Select(IpAddress.From)])
                {
                    FirstPort = translation.FirstPort,
                    LastPort = translation.LastPort,
                    OnlyBackends = translation.OnlyBackends,
                }
                : null,
            SourceRanges =
            [
                .. balancer.SourceRanges.Where(r => r.BaseAddress.AddressFamily == address.AddressFamily)
                    .Select(r => new IpPrefix(IpAddress.From(r.BaseAddress), r.PrefixLength)),
            ],
        };
}
