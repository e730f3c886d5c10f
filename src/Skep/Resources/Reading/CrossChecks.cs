using System.Net;
using System.Net.Sockets;
using Skep.Balancing;
using Skep.Balancing.Health;

namespace Skep.Resources.Reading;

/// <summary>What only shows when all resources are seen together.</summary>
internal static class CrossChecks
{
    public static void Run(IReadOnlyList<Resource> resources, ProblemList problems)
    {
        Names(resources, problems);
        VirtualAddresses([.. resources.OfType<LoadBalancer>()], problems);
        foreach (var balancer in resources.OfType<LoadBalancer>())
        {
            Backends(balancer, problems);
            Following(balancer, problems);
            DirectReturn.Check(balancer, problems);
            Translation.Check(balancer, problems);
        }

        DirectReturn.Ranges([.. resources.OfType<LoadBalancer>()], problems);
        Hosts([.. resources.OfType<LoadBalancer>()], problems);
        BlockEntries([.. resources.OfType<BlockList>()], problems);
        BlockInterfaces([.. resources.OfType<BlockList>()], problems);
        RateLimits([.. resources.OfType<RateLimit>()], problems);
        Hooks(resources, problems);
        Sizes([.. resources.OfType<TableSizes>()], problems);
    }

    private static void Sizes(IReadOnlyList<TableSizes> sizes, ProblemList problems)
    {
        foreach (var other in sizes.Skip(1))
        {
            problems.Error(other.Source, "second-sizes", $"the sizes of tables are given already by '{sizes[0].Name}' at {Place(sizes[0].Source)}", "put all of them into one TableSizes");
        }
    }

    // One program does what all resources of an interface ask for.
    private static void Hooks(IReadOnlyList<Resource> resources, ProblemList problems)
    {
        var first = new Dictionary<string, Resource>(StringComparer.Ordinal);
        foreach (var resource in resources.Where(r => r.Hook != EdgeHook.Auto))
        {
            foreach (var name in resource.Interfaces.Where(name => !first.TryAdd(name, resource) && first[name].Hook != resource.Hook))
            {
                problems.Error(
                    resource.Source, "different-hooks",
                    $"interface '{name}' is given hook {resource.Hook.ToString().ToLowerInvariant()}, but {first[name].Hook.ToString().ToLowerInvariant()} at {Place(first[name].Source)}",
                    "an interface has one hook: leave it to auto, or give the same one");
            }
        }
    }

    private static void Names(IReadOnlyList<Resource> resources, ProblemList problems)
    {
        var first = new Dictionary<(string, string), Resource>();
        foreach (var resource in resources)
        {
            if (!first.TryAdd((resource.Kind, resource.Name), resource))
            {
                problems.Error(
                    resource.Source, "duplicate-name",
                    $"{resource.Kind} '{resource.Name}' is declared already at {Place(first[(resource.Kind, resource.Name)].Source)}", "rename or remove one of them");
            }
        }
    }

    private static void VirtualAddresses(IReadOnlyList<LoadBalancer> balancers, ProblemList problems)
    {
        var owners = new Dictionary<(IPAddress, ushort, TransportProtocol), LoadBalancer>();
        foreach (var balancer in balancers)
        {
            foreach (var (address, port) in balancer.Addresses.SelectMany(a => balancer.Ports.Select(p => (a, p))))
            {
                var key = (address, port.Port, port.Protocol);
                if (!owners.TryAdd(key, balancer))
                {
                    var owner = owners[key];
                    problems.Error(
                        balancer.Source, "overlapping-vip",
                        $"{Endpoint(address, port.Port)}/{port.Protocol} of LoadBalancer '{balancer.Name}' is served already by '{owner.Name}' at {Place(owner.Source)}",
                        "give every address, port and protocol to one balancer");
                }
            }
        }

        // A backend that is itself a served endpoint would send packets in circles.
        foreach (var balancer in balancers)
        {
            foreach (var (backend, port) in balancer.Backends.SelectMany(b => balancer.Ports.Select(p => (b, p))))
            {
                if (owners.TryGetValue((backend.Address, backend.Port ?? port.TargetPort, port.Protocol), out var owner))
                {
                    problems.Error(
                        backend.Source, "circular-backend", $"backend {backend.Address} is a virtual address of LoadBalancer '{owner.Name}'", "name the real server");
                }
            }
        }
    }

    private static void Backends(LoadBalancer balancer, ProblemList problems)
    {
        var seen = new HashSet<(IPAddress, ushort?)>();
        foreach (var backend in balancer.Backends)
        {
            if (!seen.Add((backend.Address, backend.Port)))
            {
                problems.Error(backend.Source, "duplicate-backend", $"backend {backend.Address} stands twice in '{balancer.Name}'", "use its weight instead");
            }

            if (IPAddress.IsLoopback(backend.Address) || backend.Address.Equals(IPAddress.Any) || backend.Address.Equals(IPAddress.IPv6Any))
            {
                problems.Error(backend.Source, "bad-backend", $"backend {backend.Address} cannot be reached from the network", "name an address that the interfaces can reach");
            }

            if (KeepsFamily(balancer) && !balancer.Addresses.Any(a => a.AddressFamily == backend.Address.AddressFamily))
            {
                problems.Error(
                    backend.Source, "family-mismatch",
                    $"backend {backend.Address} is {Family(backend.Address)}, but '{balancer.Name}' has no such virtual address",
                    "addresses are not translated between families: add a virtual address of that family, or remove the backend");
            }
        }

        foreach (var family in balancer.Addresses.DistinctBy(a => a.AddressFamily))
        {
            if (!balancer.Backends.Any(b => b.Weight > 0 && (!KeepsFamily(balancer) || b.Address.AddressFamily == family.AddressFamily)))
            {
                problems.Warning(
                    balancer.Source, "no-live-backend", $"LoadBalancer '{balancer.Name}' has no {Family(family)} backend with a weight above 0",
                    "new connections to it are refused until one is added");
            }
        }
    }

    // What follows traffic and health, as far as its parts have to agree.
    private static void Following(LoadBalancer balancer, ProblemList problems)
    {
        if (balancer.HealthCheck is { } check)
        {
            if (check.Type == HealthCheckType.Exec != check.Command.Length > 0)
            {
                problems.Error(
                    balancer.Source, "bad-check", $"the health check of '{balancer.Name}' {(check.Command.Length > 0 ? "has a command but is not of type exec" : "is of type exec and has no command")}",
                    check.Command.Length > 0 ? "remove the command, or write type: exec" : "add command: [program, argument]");
            }

            if (check.Through == CheckThrough.Tunnel && (check.Type == HealthCheckType.Exec || balancer.Forwarding == ForwardingMode.Nat))
            {
                problems.Error(
                    balancer.Source, "bad-check",
                    $"the health check of '{balancer.Name}' cannot go through a tunnel: {(check.Type == HealthCheckType.Exec ? "a command asks by itself" : "with 'forwarding: nat' there is none")}",
                    "write through: address, or leave it out");
            }

            if (check.StatusFrom > check.StatusTo)
            {
                problems.Error(balancer.Source, "bad-check", $"the health check of '{balancer.Name}' takes no status: {check.StatusFrom} is above {check.StatusTo}", "exchange statusFrom and statusTo");
            }
        }

        if (balancer.Forwarding != ForwardingMode.Nat && balancer.Policy is { Outliers: not null } or { Adaptive: not null } && (!balancer.Tracking || balancer.Ports.All(p => p.Protocol != TransportProtocol.TCP)))
        {
            problems.Warning(
                balancer.Source, "not-measured", $"'{balancer.Name}' returns answers directly, and {(balancer.Tracking ? "datagrams do not tell" : "without tracking nothing tells")} whether a backend answered",
                "use healthCheck; outlierDetection and adaptive work for TCP with tracking");
        }

        if (balancer.Policy.CanaryShare is null != !balancer.Backends.Any(b => b.Canary))
        {
            problems.Error(
                balancer.Source, "bad-canary", balancer.Policy.CanaryShare is null ? $"'{balancer.Name}' has a canary backend, but no share for it" : $"'{balancer.Name}' has a share for a canary, but no backend that is one",
                balancer.Policy.CanaryShare is null ? "add canary: {percent: 5}" : "write canary: true at a backend");
        }

        if (balancer.Policy.PreferredZone is { } zone && balancer.Backends.All(b => b.Zone != zone))
        {
            problems.Warning(balancer.Source, "no-such-zone", $"no backend of '{balancer.Name}' stands in zone '{zone}'", "give backends their zone; until then all are alike");
        }
    }

    // One program at each hook serves all balancers of its control group.
    private static void Hosts(IReadOnlyList<LoadBalancer> balancers, ProblemList problems)
    {
        var forHost = balancers.Where(b => b.FromThisHost).ToArray();
        foreach (var balancer in forHost.Where(b => b.Cgroup != forHost[0].Cgroup))
        {
            problems.Error(
                balancer.Source, "different-cgroups",
                $"LoadBalancer '{balancer.Name}' serves control group {balancer.Cgroup}, but the one at {Place(forHost[0].Source)} {forHost[0].Cgroup}",
                "all that serve this host's processes share one control group: give them the same one");
        }

        foreach (var balancer in balancers.Where(b => b.Interfaces.IsEmpty && !b.FromThisHost))
        {
            problems.Error(
                balancer.Source, "nowhere", $"LoadBalancer '{balancer.Name}' serves nobody", "name the interfaces that clients come by, or set fromThisHost: true");
        }
    }

    // Outer headers may be of the other family.
    private static bool KeepsFamily(LoadBalancer balancer) => balancer.Forwarding is ForwardingMode.Nat or ForwardingMode.L2;

    private static void BlockEntries(IReadOnlyList<BlockList> lists, ProblemList problems)
    {
        var first = new Dictionary<IPNetwork, BlockEntry>();
        foreach (var entry in lists.SelectMany(l => l.Entries))
        {
            if (!first.TryAdd(entry.Prefix, entry))
            {
                problems.Warning(entry.Source, "duplicate-block", $"{entry.Prefix} is blocked already at {Place(first[entry.Prefix].Source)}", "the longer block holds; remove one of them");
            }
            else if (entry.Prefix.PrefixLength == 0)
            {
                problems.Error(entry.Source, "blocks-everything", $"{entry.Prefix} is every address", "block what is meant");
            }
        }
    }

    // All lists share one table: a program could not tell from which list an entry came.
    private static void BlockInterfaces(IReadOnlyList<BlockList> lists, ProblemList problems)
    {
        foreach (var list in lists.Where(l => !l.Interfaces.ToHashSet().SetEquals(lists[0].Interfaces)))
        {
            problems.Error(
                list.Source, "different-interfaces",
                $"BlockList '{list.Name}' is enforced on {string.Join(", ", list.Interfaces)}, but the one at {Place(lists[0].Source)} on {string.Join(", ", lists[0].Interfaces)}",
                "block lists share one table: give all of them the same interfaces");
        }
    }

    private static void RateLimits(IReadOnlyList<RateLimit> limits, ProblemList problems)
    {
        var first = new Dictionary<string, RateLimit>(StringComparer.Ordinal);
        foreach (var limit in limits)
        {
            foreach (var name in limit.Interfaces.Where(name => !first.TryAdd(name, limit) && first[name] != limit))
            {
                problems.Error(
                    limit.Source, "overlapping-limit", $"interface '{name}' has a RateLimit already at {Place(first[name].Source)}", "one limit per interface: merge them");
            }
        }
    }

    private static string Place(ResourceSource source) => $"{source.File}:{source.Line}";

    private static string Family(IPAddress address) => address.AddressFamily == AddressFamily.InterNetwork ? "IPv4" : "IPv6";

    private static string Endpoint(IPAddress address, ushort port) => new IPEndPoint(address, port).ToString();
}
