using System.Net;
using Skep.Balancing;
using Skep.Balancing.Health;

namespace Skep.Resources.Reading;

/// <summary>What direct return can and cannot do, told where it is asked for.</summary>
internal static class DirectReturn
{
    public static readonly ObjectShape Quic = new(
        "Which QUIC connection ids name backends.",
        new Field("configs", new ListShape(Scalars.QuicConfig, 1, QuicServerId.Configs), "Configurations that connection ids begin with, in their first three bits; 0 unless given."));

    /// <summary>The configurations that are asked for, a bit each.</summary>
    public static byte BuildQuic(ObjectValue spec) => !BalancingShapes.IsOn(spec, "quic", out var quic) ? (byte)0
        : quic?.Has("configs") == true ? (byte)quic.List<uint>("configs").Aggregate(0u, (all, c) => all | (1u << (int)c.Value))
        : (byte)1;

    public static void Check(LoadBalancer balancer, ProblemList problems)
    {
        if (balancer.Forwarding == ForwardingMode.Nat)
        {
            Rewritten(balancer, problems);
            Needs(!balancer.Tracking, "tracking: false");
            Needs(balancer.QuicConfigs != 0, "QUIC connection ids");
        }
        else
        {
            Ports(balancer, problems);
            if (balancer.FromThisHost)
            {
                problems.Error(
                    balancer.Source, "needs-rewriting", $"LoadBalancer '{balancer.Name}' serves this host's own processes, whose sockets go to a backend's own address",
                    "leave fromThisHost out, or write 'forwarding: nat'");
            }
        }

        ServerIds(balancer, problems);
        if (balancer.SecondChance && (balancer.Forwarding is not (ForwardingMode.Gue or ForwardingMode.Geneve) || balancer.Ports.All(p => p.Protocol != TransportProtocol.TCP)))
        {
            problems.Error(
                balancer.Source, "no-second-chance", $"LoadBalancer '{balancer.Name}' has secondChance, but {(balancer.Ports.All(p => p.Protocol != TransportProtocol.TCP) ? "no TCP port" : "no outer headers that a second hop fits into")}",
                "it is for TCP with 'forwarding: gue' or 'forwarding: geneve'; leave it out elsewhere");
        }

        foreach (var port in balancer.Ports.Where(p => p.EndPort is { } end && (p.Port == 0 || end <= p.Port)))
        {
            problems.Error(balancer.Source, "bad-range", $"endPort {port.EndPort} does not lie above port {port.Port}", "write the first port as port and the last one as endPort");
        }

        void Needs(bool asked, string what)
        {
            if (asked)
            {
                problems.Error(
                    balancer.Source, "needs-direct-return", $"LoadBalancer '{balancer.Name}' rewrites addresses, which knows no {what}",
                    "add 'forwarding: ipip' (or gue, geneve, l2), or leave it out");
            }
        }
    }

    // What follows from ranges of ports and from rules for clients when addresses are rewritten.
    private static void Rewritten(LoadBalancer balancer, ProblemList problems)
    {
        var ranges = balancer.Ports.Where(p => p.Range.First < p.Range.Last).ToArray();
        foreach (var port in ranges.Where(p => p.TargetPort != p.Port))
        {
            problems.Error(
                balancer.Source, "port-not-rewritten", $"ports {port.Range.First}-{port.Range.Last} of '{balancer.Name}' have target port {port.TargetPort}, but ports of a range stay as they are",
                "let the backends serve the ports clients use, and leave targetPort out");
        }

        foreach (var backend in balancer.Backends.Where(b => b.Port is not null && ranges.Length > 0))
        {
            problems.Error(
                backend.Source, "port-not-rewritten", $"backend {backend.Address} has port {backend.Port}, but ports of a range stay as they are", "leave its port out");
        }

        if (ranges.Length > 0 && balancer.HealthCheck is { Port: null, Type: not HealthCheckType.Exec })
        {
            problems.Error(balancer.Source, "bad-check", $"the health check of '{balancer.Name}' has no port, and a range of ports does not say which one", "add port to healthCheck");
        }

        if (balancer.FromThisHost && (ranges.Length > 0 || balancer.Affinity is not null || balancer.SourceRanges.Length > 0))
        {
            problems.Error(
                balancer.Source, "not-at-the-socket",
                $"LoadBalancer '{balancer.Name}' serves this host's own processes, for which there are no ranges of ports, affinity by client or sourceRanges", "leave fromThisHost or these out");
        }
    }

    /// <summary>Ranges of one address and protocol must not overlap, and are few; a single port inside of a range goes before it.</summary>
    public static void Ranges(IReadOnlyList<LoadBalancer> balancers, ProblemList problems)
    {
        var ranges = new Dictionary<(IPAddress, TransportProtocol), List<(LoadBalancer Owner, ushort First, ushort Last)>>();
        foreach (var balancer in balancers)
        {
            foreach (var (address, port) in balancer.Addresses.SelectMany(a => balancer.Ports.Where(p => p.Range.First < p.Range.Last).Select(p => (a, p))))
            {
                if (!ranges.TryGetValue((address, port.Protocol), out var known))
                {
                    ranges[(address, port.Protocol)] = known = [];
                }

                var (first, last) = port.Range;
                if (known.FirstOrDefault(k => k.First <= last && first <= k.Last) is { Owner: { } owner })
                {
                    problems.Error(
                        balancer.Source, "overlapping-vip", $"ports {first}-{last} of {address}/{port.Protocol} overlap with ports of LoadBalancer '{owner.Name}' at {owner.Source.File}:{owner.Source.Line}",
                        "give every port to one balancer");
                }
                else if (known.Count == VipSlot.MaxRanges)
                {
                    problems.Error(balancer.Source, "too-many-ranges", $"{address}/{port.Protocol} has more than {VipSlot.MaxRanges} ranges of ports", "merge ranges, or use another address");
                }

                known.Add((balancer, first, last));
            }
        }
    }

    // Connection ids say neither how long the server id in them is nor which service they are for.
    private static void ServerIds(LoadBalancer balancer, ProblemList problems)
    {
        var named = balancer.Backends.Where(b => b.QuicServerId is not null).ToArray();
        if (balancer.QuicConfigs == 0)
        {
            foreach (var backend in named.Take(1))
            {
                problems.Error(
                    backend.Source, "unused-server-id", $"backend {backend.Address} has a quicServerId, but '{balancer.Name}' does not look for any",
                    "add 'quic: true' to the balancer, or leave it out");
            }

            return;
        }

        if (named.Length == 0 || balancer.Ports.All(p => p.Protocol != TransportProtocol.UDP))
        {
            problems.Error(
                balancer.Source, "nothing-named", $"'{balancer.Name}' has quic, but {(named.Length == 0 ? "no backend with a quicServerId" : "no UDP port")}",
                named.Length == 0 ? "give backends the ids that their servers put into connection ids" : "write 'protocol: UDP' at the port that QUIC uses");
        }

        foreach (var backend in named.Where(b => b.QuicServerId!.Value.Length != named[0].QuicServerId!.Value.Length))
        {
            problems.Error(
                backend.Source, "different-lengths", $"quicServerId {backend.QuicServerId} of backend {backend.Address} is not as long as {named[0].QuicServerId} of {named[0].Address}",
                "a balancer's server ids have one length");
        }

        foreach (var twins in named.GroupBy(b => b.QuicServerId).Where(g => g.Count() > 1))
        {
            problems.Error(
                twins.Last().Source, "duplicate-server-id", $"backends {twins.First().Address} and {twins.Last().Address} of '{balancer.Name}' have the same quicServerId {twins.Key}",
                "give every backend its own");
        }
    }

    private static void Ports(LoadBalancer balancer, ProblemList problems)
    {
        foreach (var port in balancer.Ports.Where(p => p.TargetPort != p.Port))
        {
            problems.Error(
                balancer.Source, "port-not-rewritten", $"port {port.Port} of '{balancer.Name}' has target port {port.TargetPort}, but with direct return packets are not changed",
                "let the backends serve the port clients use, or write 'forwarding: nat'");
        }

        foreach (var backend in balancer.Backends.Where(b => b.Port is { } own && balancer.Ports.Any(p => p.Port != own)))
        {
            problems.Error(
                backend.Source, "port-not-rewritten", $"backend {backend.Address} has port {backend.Port}, but with direct return packets are not changed",
                "leave its port out, or write 'forwarding: nat'");
        }
    }
}
