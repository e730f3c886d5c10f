using System.Net;
using Skep.Balancing;

namespace Skep.Resources.Reading;

/// <summary>What direct return can and cannot do, told where it is asked for.</summary>
internal static class DirectReturn
{
    public static void Check(LoadBalancer balancer, ProblemList problems)
    {
        if (balancer.Forwarding == ForwardingMode.Nat)
        {
            Needs(balancer.Ports.Any(p => p.Port == 0 || p.EndPort is not null), "ranges of ports");
            Needs(balancer.Affinity is not null, "affinity by client");
            Needs(!balancer.Tracking, "tracking: false");
            Needs(balancer.SourceRanges.Length > 0, "sourceRanges");
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
